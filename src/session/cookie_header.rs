//! Reading the `Cookie` header as browsers write it.
//!
//! Rocket's own jar percent-decodes cookie *names*, trims Unicode blanks and keeps the last of twins, which lets
//! `__%48ost-x=evil` speak for `__Host-x`. So Countersign reads the header itself: names are compared byte for byte,
//! only SP and HTAB around a pair are trimmed (RFC 6265 section 5.2), a value is percent-decoded once, and two
//! different values under one name are no value at all.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::percent_decode;

/// Chunks of a session cookie that are read; a session never needs as many.
const MAX_CHUNKS: usize = 16;

/// The cookies of one request: its `Cookie` header lines, in order. Nothing is copied or collected: a request is
/// scanned for the one name that is asked for.
#[derive(Debug, Clone)]
pub struct CookieHeader<'a> {
    line: &'a str,
    /// HTTP/2 allows more than one; HTTP/1 does not, and a `Vec` without elements takes no memory.
    further: Vec<&'a str>,
}

/// What a request holds under one cookie name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// No such cookie.
    Absent,
    /// Several different values, or bytes that are no text: as good as a wrong value.
    Unusable,
    /// One value, decoded.
    Value(Cow<'a, str>),
}

impl Found<'_> {
    /// What was sent, percent-decoded once.
    pub(super) fn decoded(self) -> Self {
        let Self::Value(sent) = self else { return self };
        // Session tokens hold no percent sign, and are long.
        if memchr::memchr(b'%', sent.as_bytes()).is_none() {
            return Self::Value(sent);
        }
        match String::from_utf8(unescaped(sent.as_bytes())) {
            Ok(text) => Self::Value(Cow::Owned(text)),
            Err(_) => Self::Unusable,
        }
    }
}

/// A cookie's name made ready for a search. To be made once, at launch: every guarded request searches for it.
#[derive(Debug, Clone)]
pub struct SoughtName {
    name: &'static str,
    finder: memmem::Finder<'static>,
}

impl SoughtName {
    /// Of this name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, finder: memmem::Finder::new(name) }
    }

    /// The name itself.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Wherever the name stands in a line: what is before it, and what follows. A cookie's name holds no `;` and no blank, so
    /// one that begins a pair never lies in what another find took.
    fn places<'a>(&self, line: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.finder.find_iter(line.as_bytes()).filter_map(move |at| {
            let (before, rest) = line.split_at_checked(at)?;
            Some((before, rest.strip_prefix(self.name)?))
        })
    }

    /// The values under this name in a line, as they were sent.
    fn values<'a>(&self, line: &'a str) -> impl Iterator<Item = &'a str> {
        let places = self.places(line).filter(|(before, _)| begins_a_pair(before));
        places.filter_map(|(_, after)| value_after(pieces(after).next()?))
    }
}

impl<'a> CookieHeader<'a> {
    /// Of these header lines. A pair without `=` has no name and is passed over.
    pub fn parse(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lines = lines.into_iter();
        let line = lines.next().unwrap_or_default();
        Self { line, further: lines.collect() }
    }

    /// The one value under exactly this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Found<'a> {
        let pieces = self.lines().flat_map(pieces);
        one_of(pieces.filter_map(|piece| value_after(skip_blanks(piece).strip_prefix(name)?))).decoded()
    }

    /// The same, of a name that was made ready.
    #[must_use]
    pub fn find_sought(&self, sought: &SoughtName) -> Found<'a> {
        self.one_sought(sought).decoded()
    }

    /// What follows `prefix` in the names that begin with it, in the order of the header.
    #[must_use]
    pub fn names_after(&self, prefix: &str) -> Vec<&'a str> {
        self.pairs().filter_map(|(name, _)| name.strip_prefix(prefix)).take(64).collect()
    }

    /// The one value under a name, as it was sent. Nearly every request has one line.
    fn one_sought(&self, sought: &SoughtName) -> Found<'a> {
        if self.further.is_empty() {
            return one_of(sought.values(self.line));
        }
        one_of(self.lines().flat_map(|line| sought.values(line)))
    }

    fn lines(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.line).chain(self.further.iter().copied())
    }

    /// Names, and values with the blanks around them.
    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines()
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (trim(name), value))
    }

    /// The session cookie: the plain name when it is there, else the chunks `name.0`, `name.1`, … without a gap
    /// (NextAuth v4 and v5 cut long values so). Other names that share the prefix are not ours.
    ///
    /// Most of a header is other people's: it is passed over at the pace of a search for the name.
    #[must_use]
    pub fn find_chunked(&self, sought: &SoughtName) -> Found<'a> {
        self.find_chunked_as_sent(sought).decoded()
    }

    /// The same, not decoded: what was sent before is known by its text.
    #[must_use]
    pub fn find_chunked_as_sent(&self, sought: &SoughtName) -> Found<'a> {
        match self.one_sought(sought) {
            Found::Absent if self.lines().any(|line| sought.places(line).next().is_some()) => {
                self.join_chunks(sought.name)
            }
            found => found,
        }
    }

    /// The names in this request that hold a session cookie or a chunk of one, to be deleted or replaced.
    #[must_use]
    pub fn session_names(&self, name: &str) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for (found, _) in self.pairs() {
            let ours = found == name || chunk_index(found, name).is_some();
            if ours && !names.contains(&found) && names.len() <= MAX_CHUNKS {
                names.push(found);
            }
        }
        names
    }

    fn join_chunks(&self, name: &str) -> Found<'a> {
        let mut chunks: [Option<&str>; MAX_CHUNKS] = [None; MAX_CHUNKS];
        for (found, value) in self.pairs() {
            let value = trim(value);
            let Some(slot) = chunk_index(found, name).and_then(|index| chunks.get_mut(index)) else {
                continue;
            };
            if slot.is_some_and(|other| other != value) {
                return Found::Unusable;
            }
            *slot = Some(value);
        }
        let whole: String = chunks.iter().map_while(|chunk| *chunk).collect();
        let given = chunks.iter().flatten().count();
        let in_a_row = chunks.iter().take_while(|chunk| chunk.is_some()).count();
        match (given, in_a_row) {
            (0, _) => Found::Absent,
            (given, row) if given != row => Found::Unusable,
            _ => Found::Value(Cow::Owned(whole)),
        }
    }
}

/// RFC 6265's white space; U+2000 and its kin are part of a name.
const BLANKS: [char; 2] = [' ', '\t'];

/// The one value that all of these are, as it was sent.
fn one_of<'a>(mut values: impl Iterator<Item = &'a str>) -> Found<'a> {
    let Some(first) = values.next() else {
        return Found::Absent;
    };
    if values.any(|other| other != first) {
        return Found::Unusable;
    }
    Found::Value(Cow::Borrowed(first))
}

/// Whether a name that stands here is a whole name so far.
fn begins_a_pair(before: &str) -> bool {
    let last = before.bytes().rfind(|byte| *byte != b' ' && *byte != b'\t');
    last.is_none_or(|byte| byte == b';')
}

/// The value in what follows a name up to the next `;`, without the blanks around it; `None` where the name goes on.
fn value_after(after: &str) -> Option<&str> {
    Some(trim(skip_blanks(after).strip_prefix('=')?))
}

/// What stands between semicolons.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b';', line.as_bytes()).chain(std::iter::once(line.len()));
    ends.filter_map(move |end| {
        let piece = line.get(from..end);
        from = end + 1;
        piece
    })
}

/// By bytes: this is done for every cookie of a request, and finding a character's end costs more than the rest.
fn skip_blanks(text: &str) -> &str {
    let at = text.bytes().position(|byte| byte != b' ' && byte != b'\t');
    at.and_then(|at| text.get(at..)).unwrap_or_default()
}

fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// Percent-decoded. A sealed id holds a few escapes in a long text, so what stands between them is copied in one go: the
/// crate's decoder takes byte after byte, which was the dearest part of a guard.
fn unescaped(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((before, from)) = memchr::memchr(b'%', rest).and_then(|at| rest.split_at_checked(at)) {
        bytes.extend_from_slice(before);
        let mut escape = percent_decode(from.get(..3).unwrap_or(from));
        // What is no escape is three bytes as before, of which the first is known to be no escape.
        let byte = escape.next().unwrap_or(b'%');
        bytes.push(byte);
        rest = from.get(if escape.next().is_some() { 1 } else { 3 }..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// The canonical decimal number after `name.`; `00`, `1e0` and what overflows are none.
fn chunk_index(found: &str, name: &str) -> Option<usize> {
    let digits = found.strip_prefix(name)?.strip_prefix('.')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    let decimal = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    if canonical && decimal { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(header: &'a str, name: &'static str) -> Found<'a> {
        CookieHeader::parse([header]).find_chunked(&SoughtName::new(name))
    }

    fn value(text: &str) -> Found<'_> {
        Found::Value(Cow::Borrowed(text))
    }

    #[test]
    fn names_are_compared_byte_for_byte() {
        assert_eq!(find("__Host-x=real; __%48ost-x=evil", "__Host-x"), value("real"));
        assert_eq!(find("\u{2000}__Host-x=evil", "__Host-x"), Found::Absent);
        assert_eq!(find("__host-x=evil", "__Host-x"), Found::Absent);
        assert_eq!(find("a=1,__Host-x=evil", "__Host-x"), Found::Absent);
        assert_eq!(find("__Host-x", "__Host-x"), Found::Absent);
    }

    #[test]
    fn escapes_are_what_the_standard_makes_of_them() {
        let pieces = ["%", "%4", "%41", "%2B", "%2b", "%zz", "%%", "a", "é", "%C3%A9", "%ff", "4", "1", ""];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    let text = format!("{one}{two}x{three}{one}");
                    let expected: Vec<u8> = percent_decode(text.as_bytes()).collect();
                    assert_eq!(unescaped(text.as_bytes()), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn a_name_is_a_whole_name_wherever_it_stands() {
        for absent in
            ["xs=a", "sx=a", "s x=a", "s.=a", "S=a", "x=s=a", "x=\ts", "s", "", ";;", "x=1,s=a", "\u{a0}s=a"]
        {
            assert_eq!(find(absent, "s"), Found::Absent, "{absent:?}");
        }
        for present in ["s=a", "\t s\t=\ta\t", "x;s=a", ";s=a;", "x=s; s=a", "s=a;x=\u{e9}", "x=\u{e9};s=a"] {
            assert_eq!(find(present, "s"), value("a"), "{present:?}");
        }
        assert_eq!(find("s==a=", "s"), value("=a="));
        assert_eq!(find("s=", "s"), value(""));
    }

    #[test]
    fn searching_for_a_name_finds_what_reading_pair_by_pair_finds() {
        let pieces = ["s", "s=", "=", ";", " ", "\t", "x", "\u{a0}", ".", "ss"];
        for number in 0..100_000_usize {
            let digits = (0..5).map(|place| number / 10_usize.pow(place) % 10);
            let header: String = digits.map(|digit| pieces[digit]).collect();
            let header = CookieHeader::parse([header.as_str()]);
            let expected = header.find("s");
            assert_eq!(header.find_sought(&SoughtName::new("s")), expected, "{header:?}");
            assert_eq!(find(header.line, "s"), expected, "{header:?}");
        }
    }

    #[test]
    fn twins_must_agree() {
        assert_eq!(find("s=a; s=a", "s"), value("a"));
        assert_eq!(find("s=a; s=b", "s"), Found::Unusable);
        assert_eq!(find("s=a; s=", "s"), Found::Unusable);
    }

    #[test]
    fn values_are_decoded_once() {
        assert_eq!(find("s=a%7Cb", "s"), value("a|b"));
        assert_eq!(find("s=a%257Cb", "s"), value("a%7Cb"));
        assert_eq!(find("s=%ff", "s"), Found::Unusable);
        assert_eq!(find("s=%", "s"), value("%"));
        assert_eq!(find(" s = a ", "s"), value("a"));
    }

    #[test]
    fn chunks_are_joined_in_order_and_without_gaps() {
        assert_eq!(find("s.1=b; s.0=a", "s"), value("ab"));
        assert_eq!(find("s.0=a; s.2=c", "s"), Found::Unusable);
        assert_eq!(find("s.1=b", "s"), Found::Unusable);
        assert_eq!(
            find("s.0=a; s.evil=x; s-y=z; s.0.0=q; s.1e0=w; s.99999999999999999999=o", "s"),
            value("a")
        );
        assert_eq!(find("s=whole; s.0=a", "s"), value("whole"));
        assert_eq!(find("s.00=a", "s"), Found::Absent);
    }
}
