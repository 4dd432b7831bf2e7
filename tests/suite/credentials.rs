//! Signing in by password: limits, load, and what an attacker learns.

use countersign::model::Email;
use countersign::store::Users as _;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{PASSWORD, Steps as _};

#[rocket::async_test]
async fn unknown_and_wrong_look_the_same() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
    ] {
        let answer = app.browser().try_sign_in(email, password).await;
        let cookies: Vec<String> = answer
            .headers("set-cookie")
            .iter()
            .map(|cookie| cookie.split('=').next().unwrap().to_owned())
            .collect();
        answers.push((answer.status, answer.body, cookies));
    }
    let expected =
        r#"{"url":"http://localhost:8000/api/auth/error?error=CredentialsSignin&provider=credentials"}"#;
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0].1, expected);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

// ASVS: 6.2.8
#[rocket::async_test]
async fn passwords_are_verified_exactly_as_sent() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    ada.sign_up("ada@example.com").await;
    let cut = &PASSWORD[..PASSWORD.len() - 1];
    for wrong in [&PASSWORD.to_uppercase(), &format!("{PASSWORD} "), &format!(" {PASSWORD}"), &cut.to_owned()]
    {
        let answer = app.browser().with_header("X-Test", "1").try_sign_in("ada@example.com", wrong).await;
        assert_eq!(answer.status, 401, "{wrong}");
    }
    assert_eq!(ada.try_sign_in("ADA@Example.com", PASSWORD).await.status, 200, "addresses are canonical");
}

// ASVS: 6.3.1
#[rocket::async_test]
async fn guessing_is_limited_per_account_and_address() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        app.browser().sign_up("ada@example.com").await;
        for attempt in 1..=5 {
            let answer = app.browser().try_sign_in("ada@example.com", "wrong password").await;
            assert_eq!(answer.status, 401, "attempt {attempt}");
        }
        // Spelled otherwise, it is the same account; and the right password does not help now.
        for email in ["ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com "] {
            let answer = app.browser().try_sign_in(email, PASSWORD).await;
            assert_eq!(answer.status, 429, "{email}");
            assert_eq!(answer.header("retry-after"), Some("900"));
            assert!(answer.body.contains("error=RateLimited"));
        }
        // A restart does not forget.
        let clock = app.clock.clone();
        let app = app.restart(Setup::new(strategy)).await;
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 429);
        clock.advance(900);
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 200);
        for _ in 0..5 {
            app.browser().try_sign_in("ada@example.com", "wrong password").await;
        }
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 429, "armed again");
    }
}

// ASVS: 6.2.10
#[rocket::async_test]
async fn a_password_is_as_good_as_ever_after_years() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        app.browser().sign_up("ada@example.com").await;
        app.advance(3 * 365 * 24 * 60 * 60);
        let mut ada = app.browser();
        let answer = ada.try_sign_in("ada@example.com", PASSWORD).await;
        assert_eq!((answer.status, ada.me().await.0), (200, 200), "{strategy}");
        assert!(
            !answer.body.contains("password"),
            "{strategy}: nobody is sent to change it: {}",
            answer.body
        );
    }
}

#[rocket::async_test]
async fn a_right_password_is_no_guess() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    for _ in 0..12 {
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 200);
    }
}

#[rocket::async_test]
async fn a_person_reads_that_they_must_wait() {
    let app = Setup::new("jwt").toml("[default.auth.limits]\nper_account = 1\n").start().await;
    let mut ada = app.browser().with_header("Accept", "text/html");
    for expected in [302, 429] {
        let token = ada.csrf().await;
        let fields = [("csrfToken", token.as_str()), ("email", "ada@example.com"), ("password", "wrong one")];
        let answer = ada.form("/api/auth/callback/credentials", &fields).await;
        assert_eq!(answer.status, expected);
        if expected == 429 {
            assert!(answer.body.contains("Too many attempts"), "{}", answer.body);
        }
    }
}

#[rocket::async_test]
async fn a_raised_cost_hashes_anew_at_sign_in() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    let email = Email::parse("ada@example.com").unwrap();
    let hash = |app: &App| {
        let store = std::sync::Arc::clone(&app.store);
        let email = email.clone();
        async move { store.find_user_by_email(&email).await.unwrap().unwrap().password_hash.unwrap() }
    };
    assert!(hash(&app).await.starts_with("$argon2id$v=19$m=8192,t=1,p=1$"));
    let raised = "[default.auth.providers.credentials.argon2]\nmemory_kib = 8192\niterations = 2\n";
    let app = app.restart(Setup::new("jwt").toml(raised)).await;
    assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 200);
    assert!(hash(&app).await.starts_with("$argon2id$v=19$m=8192,t=2,p=1$"));
    assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 200);
}

// ASVS: 6.3.1
#[rocket::async_test]
async fn parallel_guesses_do_not_overtake_the_count() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    let mut statuses = Vec::new();
    let guesses = (0..40)
        .map(|_| async { app.browser().try_sign_in("ada@example.com", "wrong password").await.status });
    for status in rocket::futures::future::join_all(guesses).await {
        statuses.push(status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    // Refused by the count, or at the door: one network has its share of the places.
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429 | 503)), "{statuses:?}");
}

#[rocket::async_test]
async fn a_full_queue_is_503_with_retry_after_and_counts_nothing() {
    let toml = "[default.auth.providers.credentials]\nqueue = 0\n[default.auth.limits]\nper_account = 100000\nper_address = 100000\nper_account_everywhere = 100000\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    app.browser().sign_up("ada@example.com").await;
    // More than this machine has cores, however many those are.
    let many = 40 + 10 * std::thread::available_parallelism().unwrap().get();
    let guesses =
        (0..many).map(|_| async { app.browser().try_sign_in("ada@example.com", "wrong password").await });
    let elsewhere = async { app.browser().get("/maybe").await.status };
    let (answers, elsewhere) = rocket::tokio::join!(rocket::futures::future::join_all(guesses), elsewhere);
    assert_eq!(elsewhere, 200, "other routes answer meanwhile");
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!busy.is_empty(), "so many at once do not fit the cores without a queue");
    assert!(busy.iter().all(|answer| answer.header("retry-after").is_some()));
    assert!(answers.iter().any(|answer| answer.status == 401), "those that fit were evaluated");
}
