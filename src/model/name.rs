//! Display names.

use std::fmt;

/// The name a person chose to be shown by: any text of 1 to 200 characters that is not only white space, kept as it
/// came. It is data, never markup: every page, header and log escapes it for its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DisplayName(String);

/// Why a text is no display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DisplayNameError {
    /// Nothing but white space.
    #[error("a name needs at least one visible character")]
    Empty,
    /// More than [`DisplayName::MAX_CHARS`] characters.
    #[error("a name has at most 200 characters")]
    TooLong,
    /// It holds a NUL, which a database cannot keep.
    #[error("a name cannot hold a NUL character")]
    Nul,
}

impl DisplayName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 200;

    /// Checks a text.
    ///
    /// # Errors
    /// A [`DisplayNameError`] that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, DisplayNameError> {
        if text.trim().is_empty() {
            return Err(DisplayNameError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(DisplayNameError::TooLong);
        }
        if text.contains('\0') {
            return Err(DisplayNameError::Nul);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_any_text_that_fits() {
        assert_eq!(DisplayName::parse("<b>Ada</b>").unwrap().as_str(), "<b>Ada</b>");
        assert_eq!(DisplayName::parse(" \u{2003} "), Err(DisplayNameError::Empty));
        assert_eq!(DisplayName::parse(&"é".repeat(201)), Err(DisplayNameError::TooLong));
        assert!(DisplayName::parse(&"é".repeat(200)).is_ok());
        assert_eq!(DisplayName::parse("a\0b"), Err(DisplayNameError::Nul));
    }
}
