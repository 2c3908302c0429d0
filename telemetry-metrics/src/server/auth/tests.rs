//! The guard, with files that change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue};
use tempfile::TempDir;

use super::*;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Door {
    place: TempDir,
    guard: Guard,
    runtime: tokio::runtime::Runtime,
}

impl Door {
    fn new(secret: &str, auth: impl FnOnce(PathBuf) -> Auth) -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("secret");
        std::fs::write(&file, secret).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Self {
            guard: Guard::open(&auth(file)).unwrap(),
            place,
            runtime,
        }
    }

    fn bearer(token: &str) -> Self {
        Self::new(token, |token_file| Auth::Bearer { token_file })
    }

    fn basic(password: &str) -> Self {
        Self::new(&hash(password), |password_hash_file| Auth::Basic {
            username: "prom".to_owned(),
            password_hash_file,
        })
    }

    fn put(&self, secret: &str) {
        std::fs::write(self.place.path().join("secret"), secret).unwrap();
    }

    fn ask(&self, authorization: &str) -> Result<(), Denial> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        self.runtime.block_on(self.guard.admit(&headers, CLIENT))
    }

    fn ask_as(&self, name: &str, password: &str) -> Result<(), Denial> {
        let pair = STANDARD.encode(format!("{name}:{password}"));
        self.ask(&format!("Basic {pair}"))
    }

    /// From now on whoever needs a hash is told so by [`Denial::Broken`].
    fn stop_hashing(&self) {
        self.guard.line.close();
    }
}

/// At the lowest cost: tests run without optimisation.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn is_wrong(answer: Result<(), Denial>) -> bool {
    matches!(answer, Err(Denial::Wrong { .. }))
}

#[test]
fn right_token_gets_in_and_all_others_do_not() {
    let door = Door::bearer("abc123\n");
    assert_eq!(door.ask("Bearer abc123"), Ok(()));
    for wrong in [
        "Bearer abc12",
        "Bearer abc1234",
        "Bearer ABC123",
        "Bearer",
        "Basic abc123",
    ] {
        assert!(is_wrong(door.ask(wrong)), "{wrong}");
    }
}

#[test]
fn right_name_and_password_get_in_and_all_others_do_not() {
    let door = Door::basic("se:cret");
    assert_eq!(door.ask_as("prom", "se:cret"), Ok(()));
    for (name, password) in [
        ("prom", "secret"),
        ("prom", ""),
        ("Prom", "se:cret"),
        ("", "se:cret"),
    ] {
        assert!(is_wrong(door.ask_as(name, password)), "{name}:{password}");
    }
    assert!(is_wrong(door.ask("Bearer se:cret")));
}

#[test]
fn line_of_htpasswd_is_a_hash_as_well() {
    let door = Door::basic("a");
    door.put(&format!("prom:{}\n", hash("b")));
    assert_eq!(door.ask_as("prom", "b"), Ok(()));
}

#[test]
fn known_credentials_need_no_second_hash() {
    let door = Door::basic("secret");
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
    door.stop_hashing();
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
}

#[test]
fn wrong_name_costs_the_same_hash_as_a_wrong_password() {
    let door = Door::basic("secret");
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
    door.stop_hashing();
    for (name, password) in [("prom", "wrong"), ("nobody", "secret"), ("nobody", "wrong")] {
        let answer = door.ask_as(name, password);
        assert_eq!(answer, Err(Denial::Broken), "{name} was not hashed");
    }
}

#[test]
fn client_without_a_place_in_the_line_is_told_to_come_again() {
    let door = Door::basic("secret");
    let places: Vec<_> = std::iter::from_fn(|| door.guard.line.join(CLIENT)).collect();
    assert_eq!(door.ask_as("prom", "guess"), Err(Denial::Busy));
    drop(places);
    assert!(is_wrong(door.ask_as("prom", "guess")));
}

#[test]
fn known_credentials_need_no_place_in_the_line() {
    let door = Door::basic("secret");
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
    let _places: Vec<_> = std::iter::from_fn(|| door.guard.line.join(CLIENT)).collect();
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
}

#[test]
fn changed_file_counts_at_once_also_for_known_credentials() {
    let door = Door::bearer("old");
    door.put("new");
    assert!(is_wrong(door.ask("Bearer old")));
    assert_eq!(door.ask("Bearer new"), Ok(()));

    let door = Door::basic("old");
    assert_eq!(door.ask_as("prom", "old"), Ok(()));
    door.put(&hash("new"));
    assert!(is_wrong(door.ask_as("prom", "old")));
    assert_eq!(door.ask_as("prom", "new"), Ok(()));
}

#[test]
fn broken_file_lets_nobody_in_until_it_is_whole_again() {
    let door = Door::basic("secret");
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
    for broken in ["", "secret", "$2b$04$"] {
        door.put(broken);
        let answer = door.ask_as("prom", "secret");
        assert_eq!(answer, Err(Denial::Broken), "{broken:?}");
    }
    door.put(&hash("secret"));
    assert_eq!(door.ask_as("prom", "secret"), Ok(()));
}

#[test]
fn mistakes_in_files_are_found_when_the_guard_is_made() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("secret");
    let problem = |auth: Auth| {
        let Err(error) = Guard::open(&auth) else {
            panic!("{auth:?} is fine");
        };
        error.to_string()
    };
    let bearer = Auth::Bearer {
        token_file: file.clone(),
    };
    assert!(problem(bearer.clone()).contains("cannot read"));
    std::fs::write(&file, "two words").unwrap();
    assert!(problem(bearer).contains("one word"));
    let basic = Auth::Basic {
        username: "prom".to_owned(),
        password_hash_file: file,
    };
    assert!(problem(basic).contains("neither a bcrypt nor an argon2 hash"));
}
