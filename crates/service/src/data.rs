//! Operations whose type only the test knows, as cases hold them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An operation as its case file has it. Floats are no part of it: their text is not exact.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Data {
    /// `true`
    Bool(bool),
    /// `7`
    Integer(i64),
    /// `"a"`, and the name of a variant that holds nothing
    Text(String),
    /// `[1, 2]`
    List(Vec<Data>),
    /// `{ put = [1, 2] }`
    Table(BTreeMap<String, Data>),
}

impl Data {
    /// An operation as data.
    ///
    /// # Errors
    /// If TOML cannot say it: a unit, a float, `None` in a list.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, String> {
        let value = toml::Value::try_from(value).map_err(|error| error.to_string())?;
        value.try_into().map_err(|_| "a float or a date".to_owned())
    }

    /// The operation that it is.
    ///
    /// # Errors
    /// If it is none of that type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, String> {
        let value = toml::Value::try_from(self).map_err(|error| error.to_string())?;
        value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    enum Op {
        Get(String),
        Put(String, u32),
        Clear,
        Move { from: u8, to: u8 },
    }

    #[test]
    fn operations_survive() {
        let (from, to) = (1, 2);
        for op in [Op::Get("a".into()), Op::Put("b".into(), 7), Op::Clear, Op::Move { from, to }] {
            assert_eq!(Data::of(&op).and_then(|data| data.to()), Ok(op));
        }
    }

    #[test]
    fn what_a_file_cannot_say_is_refused() {
        assert!(Data::of(&1.5).is_err());
        assert!(Data::of(&()).is_err());
        assert!(Data::Integer(-1).to::<u32>().is_err());
        assert!(Data::Text("Erase".into()).to::<Op>().is_err());
    }
}
