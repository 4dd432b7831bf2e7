//! `countersign user …`.

use std::io::Read as _;
use std::sync::Arc;

use clap::Subcommand;
use countersign::audit::{AuditEvent, AuditLog, Entry};
use countersign::clock::{Clock as _, SystemClock};
use countersign::config::Config;
use countersign::model::{DisplayName, Email, NewUser, Permission, User, UserId};
use countersign::providers::{Hasher, passwords};
use countersign::secret::Password;
use countersign::server::open_store;
use countersign::store::{Created, Store};

use super::{config, say};

/// Users listed at a time.
const PAGE: u32 = 500;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user; the password is read from the standard input.
    Add {
        /// The e-mail address.
        email: String,
        /// The name to show.
        #[arg(long)]
        name: Option<String>,
    },
    /// List all users.
    List,
    /// Disable a user: no sign-in, and every session ends now.
    Disable {
        /// The e-mail address.
        email: String,
    },
    /// Let a disabled user sign in again.
    Enable {
        /// The e-mail address.
        email: String,
    },
    /// Give, take or list roles. The first administrator is made by `user role grant ADDRESS admin`.
    #[command(subcommand)]
    Role(RoleCommand),
}

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Give a role.
    Grant {
        /// The e-mail address.
        email: String,
        /// The role's name.
        role: String,
    },
    /// Take a role.
    Take {
        /// The e-mail address.
        email: String,
        /// The role's name.
        role: String,
    },
    /// List somebody's roles.
    List {
        /// The e-mail address.
        email: String,
    },
}

/// Runs a command on users.
pub(super) async fn run(command: UserCommand) -> Result<(), String> {
    let config = config()?;
    let store = open_store(&config).await.map_err(|error| error.to_string())?;
    store.migrate().await.map_err(|error| error.to_string())?;
    let outcome = match command {
        UserCommand::Add { email, name } => add(&config, &store, &email, name.as_deref()).await,
        UserCommand::List => list(&*store).await,
        UserCommand::Disable { email } => disable(&config, &store, &email).await,
        UserCommand::Enable { email } => enable(&config, &store, &email).await,
        UserCommand::Role(command) => roles(&config, &store, command).await,
    };
    store.close().await;
    outcome
}

async fn add(config: &Config, store: &Arc<dyn Store>, email: &str, name: Option<&str>) -> Result<(), String> {
    let email = parse(email)?;
    let name = name.map(DisplayName::parse).transpose().map_err(|error| error.to_string())?;
    let rules =
        config.credentials.as_ref().ok_or("sign-in by password is switched off in the configuration")?;
    let password = read_password()?;
    passwords::check(&password, &email, &config.site_name).map_err(|error| error.to_string())?;
    let hasher = Hasher::new(rules).map_err(|error| error.to_string())?;
    let user = NewUser {
        id: UserId::generate().map_err(|error| error.to_string())?,
        email: email.clone(),
        name,
        password_hash: Some(hasher.hash(&password).await.map_err(|error| error.to_string())?),
        created_at: SystemClock.now(),
    };
    match store.create_user(&user).await.map_err(|error| error.to_string())? {
        Created::Created => {
            record(config, store, AuditEvent::UserAdded, &user.id).await;
            say(&format!("Added {email}."));
            Ok(())
        }
        Created::EmailTaken => Err(format!("{email} has an account already")),
    }
}

/// The first line of the standard input, without its end.
fn read_password() -> Result<Password, String> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|error| format!("the password cannot be read from the standard input: {error}"))?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(Password::new(line.strip_suffix('\r').unwrap_or(line)))
}

async fn list(store: &dyn Store) -> Result<(), String> {
    let mut after: Option<Email> = None;
    loop {
        let page = store.list_users(after.as_ref(), PAGE).await.map_err(|error| error.to_string())?;
        for user in &page {
            let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
            // Debug: a name is any text, and must not speak to the terminal.
            let name = user.name.as_ref().map(|name| format!("{:?}", name.as_str())).unwrap_or_default();
            say(&format!("{}\t{state}\t{}\t{name}", user.email, user.id));
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.email.clone()),
            _ => return Ok(()),
        }
    }
}

async fn disable(config: &Config, store: &Arc<dyn Store>, email: &str) -> Result<(), String> {
    let user = find(store, email).await?;
    let now = SystemClock.now();
    let until = now.plus(config.session.absolute_age.max(config.session.max_age));
    store.disable_user(&user.id, now, until).await.map_err(|error| error.to_string())?;
    record(config, store, AuditEvent::UserDisabled, &user.id).await;
    say(&format!("Disabled {}; every session has ended.", user.email));
    Ok(())
}

async fn enable(config: &Config, store: &Arc<dyn Store>, email: &str) -> Result<(), String> {
    let user = find(store, email).await?;
    store.enable_user(&user.id).await.map_err(|error| error.to_string())?;
    record(config, store, AuditEvent::UserEnabled, &user.id).await;
    say(&format!("Enabled {}.", user.email));
    Ok(())
}

/// Records what an administrator did here.
async fn record(config: &Config, store: &Arc<dyn Store>, event: AuditEvent, user: &UserId) {
    let audit = AuditLog::new(Arc::clone(store), Arc::new(SystemClock), &config.audit_log);
    audit.record(Entry::new(event).user(user).detail("by", "command_line")).await;
}

async fn roles(config: &Config, store: &Arc<dyn Store>, command: RoleCommand) -> Result<(), String> {
    let role = |name: &str| Permission::parse(name).map_err(|error| format!("{name:?}: {error}"));
    match command {
        RoleCommand::Grant { email, role: name } => {
            let (user, role) = (find(store, &email).await?, role(&name)?);
            let granted = store.grant_role(&user.id, &role, SystemClock.now()).await;
            if granted.map_err(|error| error.to_string())? {
                record(config, store, AuditEvent::RoleGranted, &user.id).await;
            }
            say(&format!("{} has the role {role}.", user.email));
        }
        RoleCommand::Take { email, role: name } => {
            let (user, role) = (find(store, &email).await?, role(&name)?);
            if store.take_role(&user.id, &role).await.map_err(|error| error.to_string())? {
                record(config, store, AuditEvent::RoleTaken, &user.id).await;
            }
            say(&format!("{} does not have the role {role}.", user.email));
        }
        RoleCommand::List { email } => {
            let user = find(store, &email).await?;
            for role in store.roles_of(&user.id).await.map_err(|error| error.to_string())? {
                say(role.as_str());
            }
        }
    }
    Ok(())
}

async fn find(store: &Arc<dyn Store>, email: &str) -> Result<User, String> {
    let email = parse(email)?;
    let found = store.find_user_by_email(&email).await.map_err(|error| error.to_string())?;
    found.map(|found| found.user).ok_or_else(|| format!("nobody has the address {email}"))
}

fn parse(email: &str) -> Result<Email, String> {
    Email::parse(email).map_err(|error| format!("{email:?} is no address: {error}"))
}
