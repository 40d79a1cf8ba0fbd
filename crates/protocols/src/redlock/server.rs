//! A lock server: rules R1 to R4.

use super::*;

/// Keys that run out, in memory alone: R1–R4.
#[derive(Debug)]
pub struct LockServer {
    config: Config,
    /// When it speaks again, on its monotonic clock (R4).
    silent_until: Duration,
    /// Who has each key, and when that runs out, on the wall clock.
    keys: BTreeMap<Object, (Token, Duration)>,
}

impl LockServer {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), silent_until: Duration::ZERO, keys: BTreeMap::new() }
    }

    pub(super) fn view(&self) -> View {
        let key = |(object, (token, expires)): (&Object, &(Token, Duration))| Key {
            object: *object,
            token: *token,
            expires: *expires,
        };
        View::LockServer(self.keys.iter().map(key).collect())
    }

    pub(super) fn on_start(&mut self, cx: &mut Context) {
        // R4: a first life has nothing to forget.
        if cx.incarnation() > 1 {
            self.silent_until = cx.now() + self.config.silence;
        }
    }

    fn is_silent(&self, cx: &mut Context) -> bool {
        let silent = cx.now() < self.silent_until;
        if silent {
            cx.mark("a restarted lock server stayed silent");
        }
        silent
    }

    pub(super) fn on_set(&mut self, from: NodeId, object: Object, token: Token, cx: &mut Context) {
        if self.is_silent(cx) {
            return;
        }
        // R1
        let now = cx.wall();
        let free = match self.keys.get(&object) {
            None => true,
            Some((_, expires)) if *expires <= now => {
                cx.mark("a key had run out");
                true
            }
            Some(_) => false,
        };
        if free {
            self.keys.insert(object, (token, now + self.config.ttl));
        }
        cx.send(from, Msg::Answer { token, round: 0, done: free });
    }

    pub(super) fn on_extend(
        &mut self,
        from: NodeId,
        object: Object,
        token: Token,
        round: u32,
        cx: &mut Context,
    ) {
        if self.is_silent(cx) {
            return;
        }
        // R3
        let now = cx.wall();
        let done = match self.keys.get_mut(&object) {
            Some((value, expires)) if *value == token && now < *expires => {
                *expires = now + self.config.ttl;
                true
            }
            _ => false,
        };
        cx.send(from, Msg::Answer { token, round, done });
    }

    pub(super) fn on_release(&mut self, object: Object, token: Token, cx: &mut Context) {
        // R2
        match self.keys.get(&object) {
            Some((value, _)) if *value == token => {
                self.keys.remove(&object);
            }
            Some(_) => cx.mark("a Release met another's key"),
            None => {}
        }
    }
}
