//! Which passwords are accepted.
//!
//! 8 to 256 characters, any characters, no rules of composition, no trimming and no normalisation (ASVS 5.0, 6.2.1 to
//! 6.2.9); refused are the 10,000 most common ones and those that are the person's own address or the site's name
//! (6.2.4, 6.2.11).

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::model::Email;
use crate::secret::Password;

/// The shortest password, in characters.
pub const MIN_CHARS: usize = 8;
/// The longest password, in characters.
pub const MAX_CHARS: usize = 256;

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`MIN_CHARS`] characters.
    #[error("a password has at least 8 characters")]
    TooShort,
    /// More than [`MAX_CHARS`] characters.
    #[error("a password has at most 256 characters")]
    TooLong,
    /// Among the first that anybody tries.
    #[error("this password is among the most common ones")]
    Common,
    /// It is the person's address or the site's name.
    #[error("this password contains the address or the site's name")]
    Context,
}

impl PasswordError {
    /// The stable code, also the key of the text that people see.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Common => "password_common",
            Self::Context => "password_context",
        }
    }
}

/// Checks a new password before anything is hashed.
///
/// # Errors
/// The first rule it breaks.
pub fn check(password: &Password, email: &Email, site_name: &str) -> Result<(), PasswordError> {
    check_alone(password)?;
    let lower = password.expose().to_lowercase();
    let is_own_name =
        lower == email.as_str() || lower == email.local_part() || lower == site_name.to_lowercase();
    if is_own_name { Err(PasswordError::Context) } else { Ok(()) }
}

/// The rules that need not know whose password it is.
///
/// # Errors
/// The first rule it breaks.
pub fn check_alone(password: &Password) -> Result<(), PasswordError> {
    let text = password.expose();
    // In bytes first: a megabyte is refused without being counted.
    if text.len() > MAX_CHARS * 4 {
        return Err(PasswordError::TooLong);
    }
    match text.chars().count() {
        0..MIN_CHARS => return Err(PasswordError::TooShort),
        MIN_CHARS..=MAX_CHARS => {}
        _ => return Err(PasswordError::TooLong),
    }
    if COMMON.contains(text.to_lowercase().as_str()) { Err(PasswordError::Common) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), PasswordError> {
        check(&Password::new(text), &Email::parse("ada.lovelace@example.com").unwrap(), "Countersign")
    }

    // ASVS: 6.2.5, 6.2.9
    #[test]
    fn any_characters_of_the_right_number_are_accepted() {
        let long = "x".repeat(255) + "é";
        let accepted = [
            "correct horse battery staple",
            "aaaa bbbb cccc dddd",
            "pass\0word-long",
            "😀😁😂🤣😃😄😅😆",
            &long,
        ];
        for text in accepted {
            assert_eq!(verdict(text), Ok(()), "{text}");
        }
    }

    // ASVS: 6.2.1, 6.2.4, 6.2.11
    #[test]
    fn each_rule_refuses() {
        assert_eq!(verdict("aaaaaaa"), Err(PasswordError::TooShort));
        assert_eq!(verdict(&"x".repeat(257)), Err(PasswordError::TooLong));
        assert_eq!(verdict(&"x".repeat(1 << 20)), Err(PasswordError::TooLong));
        for common in ["password", "12345678", "qwertyuiop", "PassWord1"] {
            assert_eq!(verdict(common), Err(PasswordError::Common), "{common}");
        }
        for own in ["Ada.Lovelace@example.com", "ada.lovelace", "countersign"] {
            assert_eq!(verdict(own), Err(PasswordError::Context), "{own}");
        }
    }
}
