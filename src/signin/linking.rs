//! Whose account an account at another site opens: one pure function.
//!
//! docs/linking.md prints every case; a test goes through all of them and holds these to be true of each:
//! - An address that is not proven *there* never opens, links to or takes over an account here.
//! - Nobody gets two owners: an account there that is somebody's already stays theirs.
//! - Whoever holds an address here without having proven it is out once its owner arrives.
//! - What somebody who is signed in began is about them alone.
//! - A new way into an account is added only after a recent proof of whose it is.

/// What is known when somebody comes back from another site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Whether the person was signed in when they left, and is the same one now.
    pub signed_in: SignedIn,
    /// Whose the account there is.
    pub known: Known,
    /// What the address there is here.
    pub here: Here,
    /// Whether the other site says that the person proved the address.
    pub verified_there: bool,
    /// What the operator allows.
    pub policy: Policy,
}

/// Whether somebody was signed in when they left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedIn {
    /// Nobody was.
    No,
    /// Somebody was, whose last proof of who they are was too long ago for linking anything.
    Stale,
    /// Somebody was, who had proven who they are a moment ago.
    Recently,
}

/// Whose an account there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nobody's.
    No,
    /// The person's who is signed in.
    Own,
    /// Somebody else's; when nobody is signed in, simply somebody's.
    Somebodys,
}

/// What an address is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// The other site tells none that we accept.
    NoAddress,
    /// Nobody has it.
    Free,
    /// Somebody has it and never proved that it is theirs.
    Unproven,
    /// Somebody has it and proved it.
    Proven,
}

/// What the operator allows of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `sign_up`: people who are new make an account.
    pub sign_up: bool,
    /// `link_by_email`: an address that is proven on both sides is one person.
    pub link_by_email: bool,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The owner of the account there signs in.
    SignIn,
    /// The account there is linked to the person who is signed in.
    Link,
    /// It is linked to whoever has the address, and they sign in.
    LinkByAddress,
    /// A new account is made; the address is proven or not.
    Create {
        /// Whether it is.
        proven: bool,
    },
    /// The address's owner takes the account from whoever never proved it: password, links and sessions end.
    TakeOver,
    /// Nothing.
    Refuse(Refusal),
}

/// Why nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The account there is somebody else's.
    SomebodyElses,
    /// The address is somebody's here, and who comes is not known to be them.
    AddressTaken,
    /// Without an address there is no account.
    NoAddress,
    /// Nobody new is let in.
    SignUpClosed,
    /// A new way in is only for somebody who proved a moment ago who they are.
    Stale,
}

/// The decision.
#[must_use]
pub fn decide(case: Case) -> Ruling {
    match (case.signed_in, case.known) {
        (SignedIn::Recently, Known::No) => Ruling::Link,
        (SignedIn::Stale, Known::No) => Ruling::Refuse(Refusal::Stale),
        (SignedIn::Stale | SignedIn::Recently, Known::Somebodys) => Ruling::Refuse(Refusal::SomebodyElses),
        // Also how somebody who came from there proves again who they are.
        (_, Known::Own) | (SignedIn::No, Known::Somebodys) => Ruling::SignIn,
        (SignedIn::No, Known::No) => newcomer(case),
    }
}

fn newcomer(case: Case) -> Ruling {
    match (case.here, case.verified_there) {
        (Here::NoAddress, _) => Ruling::Refuse(Refusal::NoAddress),
        (Here::Free, proven) if case.policy.sign_up => Ruling::Create { proven },
        (Here::Free, _) => Ruling::Refuse(Refusal::SignUpClosed),
        (Here::Unproven, true) => Ruling::TakeOver,
        (Here::Proven, true) if case.policy.link_by_email => Ruling::LinkByAddress,
        (Here::Unproven | Here::Proven, _) => Ruling::Refuse(Refusal::AddressTaken),
    }
}
