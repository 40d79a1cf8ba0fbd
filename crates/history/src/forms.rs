//! Cuts a text of EDN or JSON into its operations, each with its line, without understanding them:
//! what is too deep or too long is refused before any reader recurses into it.

use crate::recorded::{Misread, Problem};

/// The deepest brackets inside brackets.
pub(crate) const MAX_DEPTH: usize = 64;

/// The most tags in a row, `#a #b 1`.
const MAX_TAGS: usize = 8;

/// The longest operation, in bytes.
pub(crate) const MAX_FORM: usize = 16 << 20;

/// The forms of a text: all of them, or the elements of the one list that it consists of.
pub(crate) struct Forms<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// EDN has comments, characters and tags; JSON has none of them.
    edn: bool,
    /// The closing bracket of the list, and the line of the opening one.
    list: Option<(u8, usize)>,
    /// Whether the first form has been looked for.
    begun: bool,
    /// Whether the list, or the text, has ended.
    done: bool,
}

/// One form and the line it begins on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl<'a> Forms<'a> {
    pub(crate) fn new(text: &'a str, edn: bool) -> Self {
        Self { text, at: 0, line: 1, edn, list: None, begun: false, done: false }
    }

    /// Takes a leading list for a form like any other.
    pub(crate) fn whole(&mut self) {
        self.begun = true;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over what stands between forms.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | b',' => {}
                b';' if self.edn => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                    continue;
                }
                _ => return,
            }
            self.at += 1;
        }
    }

    fn wrong(&mut self, line: usize, problem: Problem) -> Option<Result<Form<'a>, Misread>> {
        self.done = true;
        Some(Err(Misread { line, problem }))
    }

    /// Where the form that begins here ends.
    fn end(&mut self) -> Result<usize, Problem> {
        let bytes = self.text.as_bytes();
        let begin = self.at;
        let (mut at, mut depth, mut tags) = (begin, 0_usize, 0_usize);
        while let Some(&byte) = bytes.get(at) {
            if at - begin > MAX_FORM {
                return Err(Problem::Long);
            }
            match byte {
                b'\n' => {
                    self.line += 1;
                    at += 1;
                    continue; // tags go on over lines
                }
                b' ' | b'\t' | b'\r' | b',' => {
                    at += 1;
                    continue;
                }
                b'#' if self.edn && bytes.get(at + 1) != Some(&b'{') => {
                    tags += 1;
                    if tags > MAX_TAGS {
                        return Err(Problem::Deep);
                    }
                    at += 1;
                    at += if bytes.get(at) == Some(&b'_') { 1 } else { token(&bytes[at..]) };
                    continue;
                }
                b'#' if self.edn => at += 1, // and the bracket of the set next
                b'{' | b'[' | b'(' => {
                    depth += 1;
                    at += 1;
                    if depth > MAX_DEPTH {
                        return Err(Problem::Deep);
                    }
                }
                b'}' | b']' | b')' => {
                    at += 1;
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                b'"' => {
                    at += 1;
                    loop {
                        match bytes.get(at) {
                            None => return Err(Problem::Truncated),
                            Some(b'"') => break,
                            Some(b'\\') => at += 1,
                            Some(b'\n') => self.line += 1,
                            Some(_) => {}
                        }
                        at += 1;
                    }
                    at += 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                b';' if self.edn => {
                    let rest = &bytes[at..];
                    at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                b'\\' if self.edn => at += 1 + after_backslash(&self.text[at + 1..]),
                _ => {
                    at += token(&bytes[at..]).max(1);
                    if depth == 0 {
                        return Ok(at);
                    }
                }
            }
            tags = 0;
        }
        Err(Problem::Truncated)
    }
}

/// How many bytes a word or a number has.
fn token(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(byte, b',' | b';' | b'"' | b'#')
            || matches!(byte, b'{' | b'}' | b'[' | b']' | b'(' | b')')
    };
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// How many bytes of a character of EDN stand after its backslash: at least one character, which
/// may be a bracket.
fn after_backslash(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    first + token(&text.as_bytes()[first..])
}

impl<'a> Iterator for Forms<'a> {
    type Item = Result<Form<'a>, Misread>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.skip();
        if !self.begun {
            self.begun = true;
            let close = match self.peek() {
                Some(b'[') => Some(b']'),
                Some(b'(') if self.edn => Some(b')'),
                _ => None,
            };
            if let Some(close) = close {
                self.list = Some((close, self.line));
                self.at += 1;
                self.skip();
            }
        }
        let line = self.line;
        match (self.peek(), self.list) {
            (None, None) => {
                self.done = true;
                return None;
            }
            (None, Some((_, opened))) => {
                return self.wrong(line, Problem::Unclosed { line: opened });
            }
            (Some(byte), Some((close, _))) if byte == close => {
                self.at += 1;
                self.skip();
                if self.peek().is_some() {
                    return self.wrong(self.line, Problem::AfterTheEnd);
                }
                self.done = true;
                return None;
            }
            (Some(_), _) => {}
        }
        let begin = self.at;
        match self.end() {
            Ok(end) => {
                self.at = end;
                Some(Ok(Form { text: self.text.get(begin..end)?, line }))
            }
            Err(problem) => self.wrong(line, problem),
        }
    }
}
