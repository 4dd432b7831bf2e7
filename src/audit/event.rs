//! What can happen.

/// Something worth recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditEvent {
    /// Somebody signed in.
    SignInSucceeded,
    /// A sign-in failed: the detail `code` says why.
    SignInFailed,
    /// An account was made.
    SignUpSucceeded,
    /// An account was not made: the detail `code` says why. The person who asked is not told.
    SignUpFailed,
    /// An account at another site was linked: the detail `provider` says which.
    AccountLinked,
    /// A link to an account at another site was removed: the detail `provider` says which.
    AccountUnlinked,
    /// The owner of an address took over an account whose holder had never proven it: what the holder had has ended.
    AccountTakenOver,
    /// Somebody signed out.
    SignedOut,
    /// Somebody ended one of their sessions from afar.
    SessionEnded,
    /// Somebody ended all their sessions but the present one.
    OtherSessionsEnded,
    /// A password was changed, and the other sessions ended.
    PasswordChanged,
    /// A password was not changed: the detail `code` says why.
    PasswordChangeFailed,
    /// A password was replaced by way of a mailed link, and every session ended.
    PasswordReset,
    /// An address was proven by its owner.
    EmailVerified,
    /// An account has another address, and the other sessions ended.
    EmailChanged,
    /// The owner of an address arrived; who had held it unproven lost password and sessions.
    OwnerArrived,
    /// Somebody took a copy of what is stored about them.
    DataExported,
    /// Somebody deleted their account.
    AccountDeleted,
    /// Somebody changed the name they are shown by.
    NameChanged,
    /// Second factors were changed, and the other sessions ended: the detail `change` says how.
    SecondFactorChanged,
    /// A recovery code was used up in a sign-in.
    RecoveryCodeUsed,
    /// Somebody was given a role.
    RoleGranted,
    /// A role was taken from somebody.
    RoleTaken,
    /// Somebody made a personal access token.
    AccessTokenMade,
    /// Somebody revoked a personal access token.
    AccessTokenRevoked,
    /// An administrator added a user.
    UserAdded,
    /// A user was disabled, and every session of theirs ended.
    UserDisabled,
    /// A disabled user may sign in again.
    UserEnabled,
    /// Too many attempts: the detail `limit` says at what.
    LimitHit,
    /// A request that came without this browser's CSRF token, or from another site.
    CsrfRefused,
    /// Somebody was refused what they asked for: the detail `code` says why.
    AccessRefused,
    /// Refusals that were not recorded one by one: the detail `count` says how many.
    RefusalsOmitted,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Success,
    /// It was refused.
    Refused,
}

impl AuditEvent {
    /// The stable code in records, logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignInSucceeded => "sign_in.succeeded",
            Self::SignInFailed => "sign_in.failed",
            Self::SignUpSucceeded => "sign_up.succeeded",
            Self::SignUpFailed => "sign_up.failed",
            Self::AccountLinked => "account.linked",
            Self::AccountUnlinked => "account.unlinked",
            Self::AccountTakenOver => "account.taken_over",
            Self::SignedOut => "session.signed_out",
            Self::SessionEnded => "session.ended",
            Self::OtherSessionsEnded => "session.others_ended",
            Self::PasswordChanged => "password.changed",
            Self::PasswordChangeFailed => "password.change_failed",
            Self::PasswordReset => "password.reset",
            Self::EmailVerified => "email.verified",
            Self::EmailChanged => "email.changed",
            Self::OwnerArrived => "email.owner_arrived",
            Self::DataExported => "account.data_exported",
            Self::AccountDeleted => "account.deleted",
            Self::NameChanged => "profile.name_changed",
            Self::SecondFactorChanged => "second_factor.changed",
            Self::RecoveryCodeUsed => "second_factor.recovery_code_used",
            Self::RoleGranted => "role.granted",
            Self::RoleTaken => "role.taken",
            Self::AccessTokenMade => "access_token.made",
            Self::AccessTokenRevoked => "access_token.revoked",
            Self::UserAdded => "user.added",
            Self::UserDisabled => "user.disabled",
            Self::UserEnabled => "user.enabled",
            Self::LimitHit => "limit.hit",
            Self::CsrfRefused => "csrf.refused",
            Self::AccessRefused => "access.refused",
            Self::RefusalsOmitted => "audit.refusals_omitted",
        }
    }

    /// How it went.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::SignInFailed
            | Self::SignUpFailed
            | Self::PasswordChangeFailed
            | Self::LimitHit
            | Self::CsrfRefused
            | Self::AccessRefused
            | Self::RefusalsOmitted => Outcome::Refused,
            _ => Outcome::Success,
        }
    }
}

impl Outcome {
    /// The stable code in records, logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}
