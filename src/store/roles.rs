//! The contract about roles, and about finding people.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{Email, Permission, User, UserId};

/// Roles.
#[async_trait]
pub trait Roles: Send + Sync {
    /// Gives a role. `false` when the user has it already or does not exist.
    async fn grant_role(&self, user: &UserId, role: &Permission, now: Timestamp) -> Result<bool, Error>;
    /// Takes a role. `false` when the user did not have it.
    async fn take_role(&self, user: &UserId, role: &Permission) -> Result<bool, Error>;
    /// The roles of a user, in order of name.
    async fn roles_of(&self, user: &UserId) -> Result<Vec<Permission>, Error>;
    /// Up to `limit` users whose address begins with `beginning`, in the order of its bytes, those after `after`. The cost
    /// does not grow with the number of users.
    async fn search_users(
        &self,
        beginning: &str,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<User>, Error>;
}

/// Between which texts, the first included and the last not, the addresses stand that begin with `beginning` and come after
/// `after`. Addresses are of printable ASCII: none stands between another and the same with a control character behind it,
/// and none behind a beginning with DEL behind it.
pub(super) fn range_of(beginning: &str, after: Option<&Email>) -> (String, String) {
    let next = after.map(|after| format!("{after}\u{1}")).filter(|next| next.as_str() > beginning);
    (next.unwrap_or_else(|| beginning.to_owned()), format!("{beginning}\u{7f}"))
}

#[cfg(test)]
mod tests {
    use super::range_of;
    use crate::model::Email;

    #[test]
    fn a_page_goes_on_after_the_last_and_never_before_the_beginning() {
        let email = |text| Email::parse(text).unwrap();
        assert_eq!(range_of("", None), (String::new(), "\u{7f}".to_owned()));
        assert_eq!(range_of("bo", None), ("bo".to_owned(), "bo\u{7f}".to_owned()));
        let after = email("bob@example.com");
        assert_eq!(range_of("bo", Some(&after)).0, "bob@example.com\u{1}");
        assert_eq!(range_of("c", Some(&after)).0, "c", "a place before the beginning is none");
        let [first, next] = ["bob@example.com", "bob@example.com.au"].map(email);
        let (from, _) = range_of("", Some(&first));
        assert!(first.as_str() < from.as_str() && from.as_str() < next.as_str());
    }
}
