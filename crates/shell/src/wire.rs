//! What a frame says. Every frame is one [`codec`] encoding.

use bytes::Bytes;
use node::{Answer, Incarnation, Node};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The content of a frame. `M`, `O` and `A` are a node's message, operation and answer, owned to
/// read and borrowed to write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Wire<M, O, A> {
    /// A node to a node.
    Peer(M),
    /// A client to a node. The client's machine is whoever sent the frame.
    Request {
        /// The operation's number; the same over all attempts.
        call: u32,
        /// What is asked.
        op: O,
    },
    /// A node to a client.
    Answer {
        /// The operation that is answered.
        call: u32,
        /// The answer.
        answer: A,
        /// The life that answered, and
        life: Incarnation,
        /// the number of the answer among all of that life: they tell a second answer from a copy
        /// of the first.
        nth: u32,
    },
}

/// A frame as a node of type `N` reads it.
pub type WireOf<N> = Wire<<N as Node>::Msg, <N as Node>::Op, Answer<<N as Node>::Ret>>;

/// A frame as a node of type `N` writes it.
pub type WireRef<'a, N> =
    Wire<&'a <N as Node>::Msg, &'a <N as Node>::Op, &'a Answer<<N as Node>::Ret>>;

impl<M: Serialize, O: Serialize, A: Serialize> Wire<M, O, A> {
    /// As a frame.
    ///
    /// # Panics
    ///
    /// As [`codec::encode`]: if the content is larger than any frame may be.
    pub fn encode(&self) -> Bytes {
        codec::encode(self).into()
    }
}

impl<M: DeserializeOwned, O: DeserializeOwned, A: DeserializeOwned> Wire<M, O, A> {
    /// What a frame says.
    ///
    /// # Errors
    ///
    /// Where the codec refuses it: damaged, of another version, or no content of these types.
    pub fn decode(frame: &[u8]) -> Result<Self, codec::Error> {
        codec::decode(frame)
    }
}
