//! What opened an account by an earlier proof ends when the proofs change, whatever kind it is of.

use countersign::model::{
    AccessTokenRecord, ExternalId, NewAccount, PasskeyRecord, Permission, Purpose, TotpRecord, UserId, Verification,
};
use countersign::secret::{PlainToken, TokenHash};
use countersign::store::{Ends, Linked, PasskeyAdded, Unlinked};

use crate::{Fresh, NOW, email, on_both, session, stamp, user};

on_both!(nothing_from_before_outlives_a_change_of_proofs, an_address_can_still_be_confirmed);

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

async fn access_token(fresh: &Fresh, owner: &UserId) -> TokenHash {
    let token = AccessTokenRecord {
        id: PlainToken::generate().unwrap().hash(),
        user_id: owner.clone(),
        name: "script".to_owned(),
        scopes: vec![Permission::parse("read").unwrap()],
        created_at: NOW,
        expires_at: NOW.plus(1000),
        last_used_at: None,
    };
    assert!(fresh.store.insert_access_token(&token, 10).await.unwrap());
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
            let external = ExternalId {
                provider: "acme".to_owned(),
                issuer: "https://id.example".to_owned(),
                subject: address.to_owned(),
            };
            let id = NewAccount::generate_id().unwrap();
            let account = NewAccount { id, external, label: None, linked_at: NOW, tokens: None };
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

/// Confirming an address opens nothing, and somebody new who makes a choice about factors first still can.
async fn an_address_can_still_be_confirmed(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let here = session(&*fresh.store, &ada).await;
    let link = mailed(fresh, Purpose::VerifyEmail, "ada@example.com", &ada).await;
    change(fresh, "codes on", &ada, "ada@example.com", &here).await;
    assert!(fresh.store.redeem_verify_email(&link, &ada, NOW).await.unwrap());
}
