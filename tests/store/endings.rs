//! What opened an account by an earlier proof ends when the proofs change, whatever kind it is of.

use countersign::model::{
    AccessTokenRecord, ExternalId, NewAccount, PasskeyRecord, Permission, Purpose, TotpRecord, UserId,
    Verification,
};
use countersign::secret::{PlainToken, TokenHash};
use countersign::store::{Ends, Linked, PasskeyAdded, Unlinked};

use crate::{Fresh, NOW, email, on_both, session, stamp, user};

on_both!(
    nothing_from_before_outlives_a_change_of_proofs,
    an_address_can_still_be_confirmed,
    whoever_was_thrown_out_changes_nothing,
);

const ACTS: [&str; 9] = [
    "a new password",
    "codes on",
    "codes off",
    "a passkey added",
    "a passkey removed",
    "factors removed",
    "unlinked",
    "disabled",
    "reset",
];

fn secret(purpose: Purpose, address: &str, owner: &UserId) -> Verification {
    let email = email(address);
    let id = Verification::id_of(purpose, &email, &PlainToken::generate().unwrap());
    let user_id = Some(owner.clone());
    Verification { id, purpose, email, user_id, code: None, created_at: NOW, expires_at: NOW.plus(600) }
}

async fn mailed(fresh: &Fresh, purpose: Purpose, address: &str, owner: &UserId) -> TokenHash {
    let secret = secret(purpose, address, owner);
    fresh.store.add_verification(&secret).await.unwrap();
    secret.id
}

fn token_of(owner: &UserId) -> AccessTokenRecord {
    AccessTokenRecord {
        id: PlainToken::generate().unwrap().hash(),
        user_id: owner.clone(),
        name: "script".to_owned(),
        scopes: vec![Permission::parse("read").unwrap()],
        created_at: NOW,
        expires_at: NOW.plus(1000),
        last_used_at: None,
    }
}

fn account_of(subject: &str) -> NewAccount {
    let external = ExternalId {
        provider: "acme".to_owned(),
        issuer: "https://id.example".to_owned(),
        subject: subject.to_owned(),
    };
    let id = NewAccount::generate_id().unwrap();
    NewAccount { id, external, label: None, linked_at: NOW, tokens: None }
}

async fn access_token(fresh: &Fresh, owner: &UserId) -> TokenHash {
    let token = token_of(owner);
    assert!(fresh.store.insert_access_token(&token, None, 10).await.unwrap());
    token.id
}

/// Does what `act` names to the user, from the session `here`.
async fn change(fresh: &Fresh, act: &str, owner: &UserId, address: &str, here: &TokenHash) {
    let (store, until) = (&fresh.store, NOW.plus(999));
    let ends = Ends { keep: Some(here), until };
    let totp = TotpRecord { secret: "sealed".to_owned(), last_step: 1, created_at: NOW };
    let passkey = PasskeyRecord {
        id: TokenHash::of(address),
        user_id: owner.clone(),
        name: "key".to_owned(),
        credential: "{}".to_owned(),
        created_at: NOW,
        last_used_at: None,
    };
    match act {
        "a new password" => {
            let seen = stamp(&**store, owner).await;
            assert!(store.change_password(owner, "new", seen, Some(here), until).await.unwrap().is_some());
        }
        "codes on" => assert!(store.enable_totp(owner, &totp, &[], ends).await.unwrap()),
        "codes off" => assert!(store.remove_totp(owner, ends).await.unwrap()),
        "a passkey added" => {
            assert_eq!(store.add_passkey(&passkey, 9, &[], ends).await.unwrap(), PasskeyAdded::Added);
        }
        "a passkey removed" => assert!(store.remove_passkey(owner, &passkey.id, ends).await.unwrap()),
        "factors removed" => store.remove_factors(owner, ends).await.unwrap(),
        "unlinked" => {
            let account = account_of(address);
            assert_eq!(store.link_account(owner, &account).await.unwrap(), Linked::Linked);
            let outcome = store.unlink_account(owner, &account.id, true, ends).await.unwrap();
            assert!(matches!(outcome, Unlinked::Unlinked(_)), "{outcome:?}");
        }
        "disabled" => assert!(store.disable_user(owner, NOW, until).await.unwrap()),
        _ => {
            let link = mailed(fresh, Purpose::ResetPassword, address, owner).await;
            assert!(store.redeem_reset_password(&link, "new", NOW, until).await.unwrap().is_some());
        }
    }
}

async fn nothing_from_before_outlives_a_change_of_proofs(fresh: &Fresh) {
    let store = &fresh.store;
    for (number, act) in ACTS.into_iter().enumerate() {
        let address = format!("ada{number}@example.com");
        let (ada, eve) =
            (user(&**store, &address).await, user(&**store, &format!("eve{number}@x.org")).await);
        let here = session(&**store, &ada).await;
        match act {
            "codes off" => change(fresh, "codes on", &ada, &address, &here).await,
            "a passkey removed" => change(fresh, "a passkey added", &ada, &address, &here).await,
            _ => {}
        }
        let elsewhere = session(&**store, &ada).await;
        let (token, foreign) = (access_token(fresh, &ada).await, access_token(fresh, &eve).await);
        let mut secrets = Vec::new();
        for purpose in [Purpose::SignIn, Purpose::ResetPassword, Purpose::ChangeEmail] {
            secrets.push((purpose, mailed(fresh, purpose, &address, &ada).await));
        }
        let others = mailed(fresh, Purpose::ResetPassword, &format!("eve{number}@x.org"), &eve).await;
        change(fresh, act, &ada, &address, &here).await;
        assert!(store.find_session(&elsewhere).await.unwrap().is_none(), "{act}");
        assert!(store.find_access_token(&token).await.unwrap().is_none(), "{act}");
        for (purpose, id) in secrets {
            assert!(store.find_verification(&id, purpose).await.unwrap().is_none(), "{act}: {purpose:?}");
        }
        assert!(store.find_access_token(&foreign).await.unwrap().is_some(), "{act}: somebody else's");
        let found = store.find_verification(&others, Purpose::ResetPassword).await.unwrap();
        assert!(found.is_some(), "{act}: somebody else's");
    }
}

/// A guard let somebody pass, and then their session ended: what they were about to change stays as it is, whichever way
/// they would have left behind.
async fn whoever_was_thrown_out_changes_nothing(fresh: &Fresh) {
    let store = &fresh.store;
    let (ada, eve) = (user(&**store, "ada@example.com").await, user(&**store, "eve@example.com").await);
    let (here, late, foreign) =
        (session(&**store, &ada).await, session(&**store, &ada).await, session(&**store, &eve).await);
    change(fresh, "codes on", &ada, "ada@example.com", &here).await;
    change(fresh, "a passkey added", &ada, "ada@example.com", &here).await;
    let account = account_of("ada@example.com");
    assert_eq!(store.link_account(&ada, &account).await.unwrap(), Linked::Linked);
    let before = store.find_factors(&ada).await.unwrap();
    let totp = TotpRecord { secret: "planted".to_owned(), last_step: 1, created_at: NOW };
    let planted = PasskeyRecord { id: TokenHash::of("planted"), ..before.passkeys[0].clone() };
    let codes = [TokenHash::of("planted")];
    // One that has ended, and one that is somebody else's.
    for from in [&late, &foreign] {
        let ends = Ends { keep: Some(from), until: NOW.plus(999) };
        assert!(!store.enable_totp(&ada, &totp, &codes, ends).await.unwrap());
        assert_eq!(store.add_passkey(&planted, 9, &codes, ends).await.unwrap(), PasskeyAdded::Refused);
        assert!(!store.replace_recovery_codes(&ada, from, &codes).await.unwrap());
        assert!(!store.remove_totp(&ada, ends).await.unwrap());
        assert!(!store.remove_passkey(&ada, &before.passkeys[0].id, ends).await.unwrap());
        let unlinked = store.unlink_account(&ada, &account.id, true, ends).await.unwrap();
        assert_eq!(unlinked, Unlinked::NotFound);
        let token = token_of(&ada);
        assert!(!store.insert_access_token(&token, Some(from), 10).await.unwrap());
        assert!(store.find_access_token(&token.id).await.unwrap().is_none());
    }
    let after = store.find_factors(&ada).await.unwrap();
    assert_eq!(
        (after.totp, after.recovery_codes, after.passkeys),
        (before.totp, before.recovery_codes, before.passkeys)
    );
    assert!(!store.spend_recovery_code(&ada, &codes[0]).await.unwrap());
    assert_eq!(store.list_accounts(&ada).await.unwrap().len(), 1);
    assert!(
        store.find_session(&here).await.unwrap().is_some()
            && store.find_session(&foreign).await.unwrap().is_some()
    );
    assert!(
        store.insert_access_token(&token_of(&ada), Some(&here), 10).await.unwrap(),
        "who is in still can"
    );
}

/// Confirming an address opens nothing, and somebody new who makes a choice about factors first still can.
async fn an_address_can_still_be_confirmed(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let here = session(&*fresh.store, &ada).await;
    let link = mailed(fresh, Purpose::VerifyEmail, "ada@example.com", &ada).await;
    change(fresh, "codes on", &ada, "ada@example.com", &here).await;
    assert!(fresh.store.redeem_verify_email(&link, &ada, NOW).await.unwrap());
}
