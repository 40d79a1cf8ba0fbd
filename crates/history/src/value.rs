//! What a recorded history holds before anybody knows its model: a tree of values, as EDN has them.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A value as it was recorded. Strings stay in the text that they come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// `nil`, `null`, or nothing at all.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A keyword without its colon, a symbol, or a number that is no [`Value::Int`], as written.
    Word(Cow<'a, str>),
    /// A string.
    Text(Cow<'a, str>),
    /// A vector or a list.
    List(Vec<Value<'a>>),
    /// A set.
    Set(Vec<Value<'a>>),
    /// A map. Keys of JSON that spell an integer are integers.
    Map(Vec<(Value<'a>, Value<'a>)>),
}

/// A value that is no collection: what registers hold, queues carry and keys are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Scalar {
    /// Nothing.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A keyword, a symbol, or a number that is no [`Scalar::Int`].
    Word(Arc<str>),
    /// A string.
    Text(Arc<str>),
}

impl<'a> Value<'a> {
    /// The value of a map's entry with this keyword or string as its key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(k, _)| k.word() == Some(key)).map(|(_, value)| value)
    }

    /// The keyword, symbol or string: the small languages have one where the other is meant.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) | Self::Text(word) => Some(word),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// The elements of a list or a set.
    pub fn elements(&self) -> Option<&[Self]> {
        if let Self::List(all) | Self::Set(all) = self { Some(all) } else { None }
    }

    /// The two elements of a list of two.
    pub fn pair(&self) -> Option<(&Self, &Self)> {
        if let [first, second] = self.list()? { Some((first, second)) } else { None }
    }

    /// The integer.
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(int) = self { Some(*int) } else { None }
    }

    /// The same, without the text that it comes from.
    pub fn into_owned(self) -> Value<'static> {
        let all = |values: Vec<Self>| values.into_iter().map(Self::into_owned).collect();
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(bool) => Value::Bool(bool),
            Self::Int(int) => Value::Int(int),
            Self::Word(word) => Value::Word(word.into_owned().into()),
            Self::Text(text) => Value::Text(text.into_owned().into()),
            Self::List(list) => Value::List(all(list)),
            Self::Set(set) => Value::Set(all(set)),
            Self::Map(map) => {
                Value::Map(map.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect())
            }
        }
    }

    /// Itself, where it is no collection.
    pub fn scalar(&self) -> Option<Scalar> {
        Some(match self {
            Self::Nil => Scalar::Nil,
            Self::Bool(bool) => Scalar::Bool(*bool),
            Self::Int(int) => Scalar::Int(*int),
            Self::Word(word) => Scalar::Word(Arc::from(&**word)),
            Self::Text(text) => Scalar::Text(Arc::from(&**text)),
            Self::List(_) | Self::Set(_) | Self::Map(_) => return None,
        })
    }
}

/// As EDN writes it. What is in a word stands there as it is.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Word(word) => write_word(f, word),
            Self::Text(text) => write_text(f, text),
            Self::List(list) => write_all(f, "[", list, "]"),
            Self::Set(set) => write_all(f, "#{", set, "}"),
            Self::Map(map) => {
                f.write_str("{")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_all(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    all: &[Value<'_>],
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, value) in all.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        write!(f, "{space}{value}")?;
    }
    f.write_str(close)
}

/// A word is a keyword again, but for numbers.
fn write_word(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    let colon = if digits.starts_with(|c: char| c.is_ascii_digit()) { "" } else { ":" };
    write!(f, "{colon}{word}")
}

/// A string with the escapes that EDN knows, and no others.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    use fmt::Write;
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl From<i64> for Scalar {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Word(word) => write_word(f, word),
            Self::Text(text) => write_text(f, text),
        }
    }
}

/// As a person reads it: messages of checkers show values this way.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Out of JSON.
impl<'de> Deserialize<'de> for Value<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Json)
    }
}

struct Json;

impl<'de> Visitor<'de> for Json {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(int).map_or_else(|_| Value::Word(int.to_string().into()), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Word(number.to_string().into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = all.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = all.next_entry::<Cow<'_, str>, Value<'static>>()? {
            let key = key.parse().map_or_else(|_| Value::Text(key.into_owned().into()), Value::Int);
            map.push((key, value));
        }
        Ok(Value::Map(map))
    }
}
