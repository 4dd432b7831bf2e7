//! Whoever must not get in: for each policy somebody who has everything but what it asks for.

use super::people::ensure;
use crate::guards::Auth;
use crate::model::{AccessTokenRecord, AuthMethod, Email, Permission, User};
use crate::policy::Policy;
use crate::secret::{PlainToken, hex, random_bytes};
use crate::session::{CookieHeader, Device, Grant, SetCookie, encode_component};
use crate::signin::MARK;
use crate::store::Store;
use crate::token::Claims;

/// A role and a scope that no route asks for.
const OTHER: &str = "guard-check.other";

/// Somebody who asks.
#[derive(Clone)]
pub(super) struct Visitor {
    /// For the list of violations.
    pub(super) who: &'static str,
    /// As a `Cookie` header says it.
    pub(super) cookies: String,
    /// What every form repeats.
    pub(super) csrf_token: String,
    /// An access token.
    pub(super) bearer: Option<String>,
}

/// Those who were made already: each asks at many routes.
pub(super) struct Visitors<'a> {
    auth: &'a Auth,
    store: Option<&'a dyn Store>,
    made: Vec<Visitor>,
}

/// Who a visitor is.
#[derive(Clone, Copy)]
enum Kind {
    Nobody,
    SignedIn,
    OtherRole,
    Stale,
    Script,
}

impl Kind {
    const fn who(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::SignedIn => "somebody who is signed in and nothing more",
            Self::OtherRole => "somebody who has another role",
            Self::Stale => "somebody who signed in too long ago",
            Self::Script => "a script whose token has another scope",
        }
    }
}

impl<'a> Visitors<'a> {
    pub(super) fn new(auth: &'a Auth, store: Option<&'a dyn Store>) -> Self {
        Self { auth, store, made: Vec::new() }
    }

    /// Everybody whom a policy keeps out.
    pub(super) async fn kept_out_by(&mut self, policy: Policy<'_>) -> Vec<Visitor> {
        let kinds: &[Kind] = match policy {
            Policy::Public => &[],
            Policy::Session | Policy::Token => &[Kind::Nobody],
            Policy::Fresh => &[Kind::Nobody, Kind::Stale],
            Policy::Role(_) => &[Kind::Nobody, Kind::SignedIn, Kind::OtherRole],
            Policy::Scope(_) => &[Kind::Nobody, Kind::SignedIn, Kind::Script],
        };
        let mut all = Vec::new();
        for kind in kinds {
            all.push(self.find(*kind).await);
        }
        all
    }

    async fn find(&mut self, kind: Kind) -> Visitor {
        if let Some(made) = self.made.iter().find(|made| made.who == kind.who()) {
            return made.clone();
        }
        let nobody = self.nobody();
        let visitor = match kind {
            Kind::Nobody => nobody,
            Kind::SignedIn => self.signed_in(nobody, &self.somebody().await, 0).await,
            Kind::Stale => {
                let age = self.auth.config.session.fresh_age + 1;
                self.signed_in(nobody, &self.somebody().await, age).await
            }
            Kind::OtherRole => {
                let user = self.somebody().await;
                let granted = self.store().grant_role(&user.id, &other(), self.auth.clock.now()).await;
                granted.unwrap_or_else(|error| panic!("{error}"));
                self.signed_in(nobody, &user, 0).await
            }
            Kind::Script => Visitor { bearer: Some(self.token_of(&self.somebody().await).await), ..nobody },
        };
        let visitor = Visitor { who: kind.who(), ..visitor };
        self.made.push(visitor.clone());
        visitor
    }

    /// Nobody, who has read a page with a form on it.
    fn nobody(&self) -> Visitor {
        let pair = self.auth.csrf.generate().unwrap_or_else(|error| panic!("{error}"));
        let cookies = format!("{}={}", self.auth.cookies.csrf_name(), encode_component(pair.cookie()));
        let csrf_token = pair.token().to_owned();
        Visitor { who: Kind::Nobody.who(), cookies, csrf_token, bearer: None }
    }

    /// A fresh user.
    async fn somebody(&self) -> User {
        let name = random_bytes::<8>().map(|bytes| format!("{}@guard-check.invalid", hex(&bytes)));
        let Ok(Ok(email)) = name.map(|name| Email::parse(&name)) else {
            panic!("no address for somebody who must not get in");
        };
        ensure(self.store(), email, None, self.auth.clock.now()).await
    }

    fn store(&self) -> &'a dyn Store {
        self.store.unwrap_or_else(|| {
            panic!("a route asks for more than a session or token, but nobody can sign in here")
        })
    }

    /// The visitor with a session that began `age` seconds ago.
    async fn signed_in(&self, visitor: Visitor, user: &User, age: i64) -> Visitor {
        let (claims, device) = (Claims::default(), Device::default());
        let grant = Grant { user, method: AuthMethod::Pwd, claims, device, replaces: None };
        let began = self.auth.clock.now().plus(-age);
        let issued = self.auth.sessions.issue_as_of(grant, began).await;
        let issued = issued.unwrap_or_else(|error| panic!("{error}"));
        let cookies = self.auth.cookies.session(&issued.value, issued.expires_at, &CookieHeader::parse([]));
        let pairs = cookies.iter().map(SetCookie::header).filter_map(|header| header.split(';').next());
        let cookies = pairs.fold(visitor.cookies, |cookies, pair| format!("{cookies}; {pair}"));
        Visitor { cookies, ..visitor }
    }

    /// A token that allows something, but nothing that is asked for here.
    async fn token_of(&self, user: &User) -> String {
        access_token(self.store(), user, vec![other()], self.auth.clock.now()).await
    }
}

/// Makes an access token that lasts for a day.
pub(super) async fn access_token(
    store: &dyn Store,
    user: &User,
    scopes: Vec<Permission>,
    now: crate::clock::Timestamp,
) -> String {
    let plain = PlainToken::generate().unwrap_or_else(|error| panic!("{error}"));
    let token = AccessTokenRecord {
        id: plain.hash(),
        user_id: user.id.clone(),
        name: "testing".to_owned(),
        scopes,
        created_at: now,
        expires_at: now.plus(24 * 60 * 60),
        last_used_at: None,
    };
    let made = store.insert_access_token(&token, None, u32::MAX).await;
    assert!(made.unwrap_or_else(|error| panic!("{error}")), "no access token can be made");
    format!("{MARK}{}", plain.expose())
}

fn other() -> Permission {
    Permission::parse(OTHER).unwrap_or_else(|error| panic!("{error}"))
}
