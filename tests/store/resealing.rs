//! Sealed texts of an old secret, after which it can leave.

use std::sync::Arc;

use countersign::model::{ExternalId, NewAccount, TotpRecord, UserId};
use countersign::sealed::{PROVIDER_TOKENS, Sealer, TOTP_SECRETS};
use countersign::secret::{Secret, SecretRing, Secrets, TokenHash};
use countersign::signin::{ResealReport, Resealed, Resealing};
use countersign::store::{Ends, Linked};

use crate::{Fresh, NOW, on_both, user};

on_both!(
    nothing_is_lost_with_an_old_secret,
    tokens_are_resealed_only_as_they_were_found,
    sealed_rows_are_listed_page_by_page,
);

fn secrets(texts: &[&str]) -> Secrets {
    let mut all = texts.iter().map(|text| Secret::new(format!("{text}-0123456789-0123456789-0123456789")));
    Secrets::new(SecretRing::new(all.next().unwrap(), all.collect()))
}

fn account(number: usize, tokens: Option<String>) -> NewAccount {
    NewAccount {
        id: format!("account-{number:04}"),
        external: ExternalId {
            provider: "acme".to_owned(),
            issuer: "https://id.example".to_owned(),
            subject: number.to_string(),
        },
        label: None,
        linked_at: NOW,
        tokens,
    }
}

async fn link(fresh: &Fresh, user: &UserId, account: &NewAccount) {
    assert_eq!(fresh.store.link_account(user, account).await.unwrap(), Linked::Linked);
}

async fn nothing_is_lost_with_an_old_secret(fresh: &Fresh) {
    let store = &fresh.store;
    let (old, both, new) = (secrets(&["old"]), secrets(&["new", "old"]), secrets(&["new"]));
    let lost = Sealer::new(secrets(&["forgotten"]), PROVIDER_TOKENS);
    let (tokens, totp) = (Sealer::new(old.clone(), PROVIDER_TOKENS), Sealer::new(old.clone(), TOTP_SECRETS));
    let ends = Ends { keep: None, until: NOW };
    let mut people = Vec::new();
    // More than one batch.
    for number in 0..240 {
        let id = user(&**store, &format!("user{number}@example.com")).await;
        let new = account(number, None);
        let sealed = tokens.seal(&new.id, format!("tokens of {number}").as_bytes()).unwrap();
        link(fresh, &id, &NewAccount { tokens: (number % 8 != 0).then_some(sealed), ..new }).await;
        let secret = totp.seal(id.as_str(), format!("secret of {number}").as_bytes()).unwrap();
        let record = TotpRecord { secret, last_step: 7, created_at: NOW };
        assert!(store.enable_totp(&id, &record, &[], ends).await.unwrap());
        people.push(id);
    }
    let forgotten = account(1000, Some(lost.seal("account-1000", b"lost").unwrap()));
    link(fresh, &people[0], &forgotten).await;

    let none = Resealed::default();
    let report = Resealing::new(Arc::clone(store), &both).run().await.unwrap();
    let expected = ResealReport {
        tokens: Resealed { renewed: 210, lost: 1, ..none },
        totp: Resealed { renewed: 240, ..none },
    };
    assert_eq!(report, expected);
    assert_eq!((report.renewed(), report.lost()), (450, 1));

    // The old secret has left.
    let report = Resealing::new(Arc::clone(store), &new).run().await.unwrap();
    let expected = ResealReport {
        tokens: Resealed { current: 210, lost: 1, ..none },
        totp: Resealed { current: 240, ..none },
    };
    assert_eq!(report, expected);
    let (tokens, totp) = (Sealer::new(new.clone(), PROVIDER_TOKENS), Sealer::new(new, TOTP_SECRETS));
    for (number, id) in people.iter().enumerate() {
        let found = store.find_factors(id).await.unwrap().totp.unwrap();
        let plain = totp.open(id.as_str(), &found.secret).unwrap();
        assert_eq!(plain.as_slice(), format!("secret of {number}").as_bytes());
        assert_eq!((found.last_step, found.created_at), (7, NOW));
        if number % 8 != 0 {
            let found = store.find_tokens(id, "acme").await.unwrap().unwrap();
            let plain = tokens.open(&found.account, &found.sealed).unwrap();
            assert_eq!(plain.as_slice(), format!("tokens of {number}").as_bytes());
        }
    }
}

async fn tokens_are_resealed_only_as_they_were_found(fresh: &Fresh) {
    let store = &fresh.store;
    let id = user(&**store, "ada@example.com").await;
    link(fresh, &id, &account(1, Some("sealed".to_owned()))).await;
    let lease = TokenHash::of("lease");
    assert!(store.lease_tokens("account-0001", &lease, NOW, NOW.plus(20)).await.unwrap().is_some());
    assert!(store.reseal_tokens("account-0001", "sealed", "anew").await.unwrap());
    assert!(
        !store.reseal_tokens("account-0001", "sealed", "lost").await.unwrap(),
        "it was changed meanwhile"
    );
    assert!(!store.reseal_tokens("account-0002", "sealed", "anew").await.unwrap(), "there is none");
    assert_eq!(store.find_tokens(&id, "acme").await.unwrap().unwrap().sealed, "anew");
    assert!(store.renew_tokens("account-0001", &lease, "renewed").await.unwrap(), "the lease is kept");
}

async fn sealed_rows_are_listed_page_by_page(fresh: &Fresh) {
    let store = &fresh.store;
    let id = user(&**store, "ada@example.com").await;
    for number in 0..5 {
        link(fresh, &id, &account(number, (number != 2).then(|| number.to_string()))).await;
    }
    let page = store.list_tokens("", 3).await.unwrap();
    let sealed: Vec<&str> = page.iter().map(|row| row.sealed.as_str()).collect();
    assert_eq!(sealed, ["0", "1", "3"]);
    let rest = store.list_tokens(&page[2].account, 3).await.unwrap();
    assert_eq!((rest.len(), rest[0].sealed.as_str()), (1, "4"));
    assert!(store.list_totp("", 3).await.unwrap().is_empty());
}
