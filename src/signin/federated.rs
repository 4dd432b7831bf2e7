//! Signing in with another site, and linking accounts there.

use super::enter::{Entered, Entry, Standing};
use super::errors::SignInError;
use super::hooks::{Event, FederatedFailure, SignInAttempt};
use super::limits::{Counted, Receipt};
use super::linking::{Case, Here, Known, Policy, Refusal, Ruling, SignedIn, decide};
use super::service::{Client, SignIn, failure_code};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{
    AuthMethod, Email, ExternalId, LinkedAccount, NewAccount, NewUser, SecurityStamp, User, UserId,
};
use crate::providers::{Federation, Identity, Profile, Provider, ProviderTokens, Transaction};
use crate::session::SessionData;
use crate::store::{self, Linked, UserWithPassword};

/// Decisions made on what was true a moment ago are made anew this often.
const TRIES: u32 = 4;
/// Somebody comes back from another site.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    /// Which.
    pub(crate) provider: &'a Provider,
    /// Who they are there.
    pub(crate) profile: Profile,
    /// Their tokens there.
    pub(crate) tokens: ProviderTokens,
    /// Where from.
    pub(crate) client: Client,
    /// The language of what is mailed about it.
    pub(crate) language: &'a str,
    /// The session this browser has, which ends when a new one begins.
    pub(crate) session: Option<&'a SessionData>,
    /// Who was signed in when it began, and still is.
    pub(crate) linking: Option<&'a UserId>,
    /// Whether they had proven a moment before it began who they are.
    pub(crate) may_link: bool,
    /// This moment.
    pub(crate) now: Timestamp,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// They signed in.
    Entered(Entered),
    /// The account there is linked to the person signed in, whose session goes on.
    Linked,
}

/// The facts a decision is made on.
struct Facts {
    account: Option<(LinkedAccount, User)>,
    holder: Option<User>,
}

impl SignIn {
    /// The other sites.
    #[must_use]
    pub fn federation(&self) -> Option<&Federation> {
        self.federation.as_deref()
    }

    /// Counts a return and notes that its sign-in came back. `false` when it had come back before. The receipt is for
    /// [`SignIn::came_to_something`].
    ///
    /// # Errors
    /// [`SignInError`]: too many, or unknown, so do not go on. Nothing is noted then.
    pub(crate) async fn spend(
        &self,
        transaction: &Transaction,
        client: &Client,
    ) -> Result<(bool, Receipt), SignInError> {
        let receipt = match self.limits.count_return(client.address).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(SignInError::Limited(hit)),
        };
        match self.store.spend(&transaction.hash(), transaction.ends_at()).await {
            Ok(first) => Ok((first, receipt)),
            Err(error) => {
                self.limits.take_back_later(receipt);
                Err(error.into())
            }
        }
    }

    /// The other site vouched for whoever came back: as a right password, that counts against nobody.
    pub(crate) async fn came_to_something(&self, receipt: Receipt) {
        self.forgive(receipt).await;
    }

    /// Signs in, signs up or links, as [`decide`] says.
    ///
    /// # Errors
    /// [`SignInError`]; nobody was signed in or linked then.
    pub(crate) async fn by_provider(&self, arrival: &Arrival<'_>) -> Result<Arrived, SignInError> {
        let outcome = self.arrive_in_time(arrival).await;
        if let Err(error) = &outcome {
            let provider = arrival.provider.config().id.as_str();
            self.tell_refused(error, provider, arrival.profile.email.as_ref(), &arrival.client).await;
        }
        outcome
    }

    /// Records that nobody came in from another site.
    pub(crate) async fn tell_refused(
        &self,
        error: &SignInError,
        provider: &str,
        email: Option<&Email>,
        client: &Client,
    ) {
        let Some(code) = failure_code(error) else {
            return;
        };
        let (reason, said) = match error {
            SignInError::Provider(error) => (Some(error.code()), error.said()),
            _ => (None, None),
        };
        let federated = Some(FederatedFailure { provider, reason, said });
        let (address, method) = (client.address, AuthMethod::Federated);
        self.tell(&Event::SignInFailed { email, code, address, method, federated }).await;
    }

    async fn arrive_in_time(&self, arrival: &Arrival<'_>) -> Result<Arrived, SignInError> {
        for _ in 0..TRIES {
            if let Some(arrived) = self.arrive(arrival).await? {
                return Ok(arrived);
            }
        }
        Err(SignInError::NotLinked)
    }

    /// `None` when what the decision was made on changed meanwhile.
    async fn arrive(&self, arrival: &Arrival<'_>) -> Result<Option<Arrived>, SignInError> {
        let facts = self.facts(arrival).await?;
        let ruling = decide(case_of(arrival, &facts));
        tracing::debug!(?ruling, provider = arrival.provider.config().id, "somebody came back");
        match (ruling, facts) {
            (Ruling::SignIn, Facts { account: Some((account, user)), .. }) => {
                self.enter_known(arrival, &account, user).await.map(Some)
            }
            (Ruling::Link, _) => self.link(arrival).await,
            (Ruling::LinkByAddress, Facts { holder: Some(holder), .. }) => {
                // A link lasts: it is made when both proofs are given, which is on the account page.
                if self.store.find_factors(&holder.id).await?.is_on() {
                    let nothing = std::future::ready(Ok(()));
                    return self.enter_as(arrival, holder, Standing::Theirs, nothing).await.map(Some);
                }
                self.enter_new(arrival, holder, How::Link).await
            }
            (Ruling::TakeOver, Facts { holder: Some(holder), .. }) => {
                let user = User {
                    name: arrival.profile.name.clone(),
                    image: None,
                    email_verified_at: Some(arrival.now),
                    security_stamp: holder.security_stamp.next(),
                    ..holder
                };
                self.enter_new(arrival, user, How::TakeOver { seen: holder.security_stamp }).await
            }
            (Ruling::Create { proven }, _) => {
                let user = newcomer(arrival, proven)?;
                self.enter_new(arrival, user, How::Create).await
            }
            (Ruling::Refuse(Refusal::SomebodyElses | Refusal::AddressTaken), _) => {
                Err(SignInError::NotLinked)
            }
            (Ruling::Refuse(Refusal::Stale), _) => Err(SignInError::Stale),
            (Ruling::Refuse(Refusal::NoAddress), _) => {
                Err(SignInError::NoAddress(arrival.provider.config().id.clone()))
            }
            (Ruling::Refuse(Refusal::SignUpClosed), _) => Err(SignInError::Denied(None)),
            _ => Err(SignInError::Internal("a ruling without its facts".to_owned())),
        }
    }

    async fn facts(&self, arrival: &Arrival<'_>) -> Result<Facts, store::Error> {
        let external = external(arrival);
        let mut account = self.store.find_account(&external).await?;
        let holder = match (&account, &arrival.profile.email) {
            (None, Some(email)) => self.store.find_user_by_email(email).await?,
            _ => None,
        };
        // Whoever arrives twice at once finds a holder: themselves, who came with the account between the two questions.
        if holder.is_some() {
            account = self.store.find_account(&external).await?;
        }
        let holder = holder.filter(|_| account.is_none());
        Ok(Facts { account, holder: holder.map(|UserWithPassword { user, .. }| user) })
    }

    async fn enter_known(
        &self,
        arrival: &Arrival<'_>,
        account: &LinkedAccount,
        user: User,
    ) -> Result<Arrived, SignInError> {
        let sealed = self.seal(arrival, &account.id)?;
        let settle = async {
            self.store.keep_tokens(&account.id, &sealed).await?;
            Ok(())
        };
        self.enter_as(arrival, user, Standing::Theirs, settle).await
    }

    /// Somebody who is not known there yet: the link is made when the host has been asked everything, and before there is a
    /// session.
    async fn enter_new(
        &self,
        arrival: &Arrival<'_>,
        user: User,
        how: How,
    ) -> Result<Option<Arrived>, SignInError> {
        let account = self.new_account(arrival)?;
        let signed_up = user.clone();
        let settle = async {
            let linked = match how {
                How::Link => self.store.link_account(&user.id, &account).await?,
                How::TakeOver { seen } => {
                    self.sessions.take_over(&user.id, seen, user.name.as_ref(), &account).await?
                }
                How::Create => {
                    let new = NewUser {
                        id: user.id.clone(),
                        email: user.email.clone(),
                        name: user.name.clone(),
                        password_hash: None,
                        created_at: user.created_at,
                    };
                    let (proven, image) = (user.email_verified_at, user.image.as_deref());
                    self.store.create_user_with_account(&new, proven, image, &account).await?
                }
            };
            if linked != Linked::Linked {
                return Err(SignInError::Overtaken);
            }
            match how {
                How::Create => self.tell(&Event::SignedUp { user: &user }).await,
                How::Link => self.tell_linked(&user, arrival).await,
                How::TakeOver { .. } => {
                    let (id, provider) = (&user.id, arrival.provider.config().id.as_str());
                    let address = arrival.client.address;
                    self.tell(&Event::AccountTakenOver { user: id, provider, address }).await;
                    self.notify(LetterKind::OwnerArrived, &user.email, arrival.language);
                }
            }
            Ok(())
        };
        let standing = match how {
            How::Link => Standing::Theirs,
            How::Create | How::TakeOver { .. } => Standing::Fresh,
        };
        match self.enter_as(arrival, signed_up, standing, settle).await {
            Err(SignInError::Overtaken) => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    async fn enter_as(
        &self,
        arrival: &Arrival<'_>,
        user: User,
        standing: Standing,
        settle: impl Future<Output = Result<(), SignInError>> + Send,
    ) -> Result<Arrived, SignInError> {
        if user.disabled_at.is_some() {
            return Err(SignInError::Denied(None));
        }
        let identity = Identity {
            user,
            method: AuthMethod::Federated,
            provider: arrival.provider.config().id.clone(),
            profile: Some(Box::new(arrival.profile.clone())),
        };
        let entry = Entry { client: &arrival.client, replaces: arrival.session };
        match self.enter_and(&identity, standing, entry, settle).await {
            Ok(entered) => Ok(Arrived::Entered(entered)),
            // Disabled or signed out everywhere between the look-up and the session.
            Err(SignInError::Credentials) => Err(SignInError::Denied(None)),
            Err(error) => Err(error),
        }
    }

    async fn link(&self, arrival: &Arrival<'_>) -> Result<Option<Arrived>, SignInError> {
        let linking = arrival.linking.ok_or_else(|| SignInError::Internal("nobody to link to".to_owned()))?;
        let user = self.store.find_user(linking).await?.filter(|user| user.disabled_at.is_none());
        // A token of another issuer may name somebody who has no account here.
        let user = user.ok_or(SignInError::NotLinked)?;
        let provider = arrival.provider.config().id.as_str();
        let attempt = SignInAttempt {
            user: &user,
            method: AuthMethod::Federated,
            address: arrival.client.address,
            provider,
            profile: Some(&arrival.profile),
        };
        self.ask_host(&attempt).await?;
        match self.store.link_account(&user.id, &self.new_account(arrival)?).await? {
            Linked::Linked => {
                self.tell_linked(&user, arrival).await;
                Ok(Some(Arrived::Linked))
            }
            Linked::AccountTaken | Linked::AddressTaken => Ok(None),
            Linked::NoSuchUser => Err(SignInError::NotLinked),
        }
    }

    async fn tell_linked(&self, user: &User, arrival: &Arrival<'_>) {
        let (provider, address) = (arrival.provider.config(), arrival.client.address);
        self.tell(&Event::AccountLinked { user: &user.id, provider: &provider.id, address }).await;
        let name = provider.name.clone();
        self.notify_about(LetterKind::AccountLinked, &user.email, arrival.language, name);
    }

    fn new_account(&self, arrival: &Arrival<'_>) -> Result<NewAccount, SignInError> {
        let id = NewAccount::generate_id().map_err(|error| SignInError::Internal(error.to_string()))?;
        let profile = &arrival.profile;
        let email = profile.email.as_ref().map(|email| email.as_str().to_owned());
        Ok(NewAccount {
            external: external(arrival),
            label: email.or_else(|| profile.name.as_ref().map(|name| name.as_str().to_owned())),
            linked_at: arrival.now,
            tokens: Some(self.seal(arrival, &id)?),
            id,
        })
    }

    fn seal(&self, arrival: &Arrival<'_>, account: &str) -> Result<String, SignInError> {
        let federation = self.federation.as_ref().ok_or_else(closed)?;
        Ok(federation.seal_tokens(account, &arrival.tokens)?)
    }
}

/// How a newcomer's account comes about.
#[derive(Clone, Copy)]
enum How {
    Create,
    Link,
    TakeOver { seen: SecurityStamp },
}

fn external(arrival: &Arrival<'_>) -> ExternalId {
    ExternalId {
        provider: arrival.provider.config().id.clone(),
        issuer: arrival.profile.issuer.clone(),
        subject: arrival.profile.subject.clone(),
    }
}

fn case_of(arrival: &Arrival<'_>, facts: &Facts) -> Case {
    let config = arrival.provider.config();
    Case {
        signed_in: match arrival.linking {
            None => SignedIn::No,
            Some(_) if arrival.may_link => SignedIn::Recently,
            Some(_) => SignedIn::Stale,
        },
        known: match &facts.account {
            None => Known::No,
            Some((_, owner)) if arrival.linking == Some(&owner.id) => Known::Own,
            Some(_) => Known::Somebodys,
        },
        here: match (&arrival.profile.email, &facts.holder) {
            (None, _) => Here::NoAddress,
            (Some(_), None) => Here::Free,
            (Some(_), Some(holder)) if holder.email_verified_at.is_some() => Here::Proven,
            (Some(_), Some(_)) => Here::Unproven,
        },
        verified_there: arrival.profile.email_verified,
        policy: Policy { sign_up: config.sign_up, link_by_email: config.link_by_email },
    }
}

fn newcomer(arrival: &Arrival<'_>, proven: bool) -> Result<User, SignInError> {
    let profile = &arrival.profile;
    Ok(User {
        id: UserId::generate().map_err(|error| SignInError::Internal(error.to_string()))?,
        email: profile
            .email
            .clone()
            .ok_or_else(|| SignInError::NoAddress(arrival.provider.config().id.clone()))?,
        name: profile.name.clone(),
        image: profile.image.clone(),
        email_verified_at: proven.then_some(arrival.now),
        disabled_at: None,
        created_at: arrival.now,
        security_stamp: SecurityStamp::default(),
    })
}

pub(super) fn closed() -> SignInError {
    SignInError::Internal("no other sites are configured".to_owned())
}
