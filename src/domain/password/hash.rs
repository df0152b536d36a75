//! What the ledger keeps of a password.

use std::fmt;

use super::Password;
use super::bcrypt::{Bcrypt, Cost, SALT_LENGTH};
use super::scheme::{InvalidHash, Scheme};

/// A stored password: `bcrypt(base64(HMAC-SHA-256(salt, password)))`, written
/// as passlib writes it, `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<checksum>`;
/// or what another system made of it, until it is next seen.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the work of one bcrypt hash of that cost. `salt` must be random.
    #[must_use]
    pub fn of(password: &Password, cost: Cost, salt: [u8; SALT_LENGTH]) -> Self {
        Self(Bcrypt::of(password, cost, salt).to_text())
    }

    /// A hash that another system made, or another Gatelodge.
    ///
    /// # Errors
    /// If no password can be verified against it, or none in reasonable time.
    pub fn import(text: &str) -> Result<Self, InvalidHash> {
        Scheme::parse(text)?;
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// What the ledger stores.
    #[must_use]
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// # Errors
    /// If what is stored is no hash that [`PasswordHash::import`] would take.
    pub fn scheme(&self) -> Result<Scheme, InvalidHash> {
        Scheme::parse(&self.0)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> PasswordHash {
        PasswordHash::of(
            &Password::parse(password).unwrap(),
            Cost::new(4).unwrap(),
            *b"0123456789abcdef",
        )
    }

    fn opens(hash: &PasswordHash, password: &str) -> bool {
        let password = Password::parse(password).unwrap();
        hash.scheme().unwrap().is_of(&password)
    }

    fn imported(text: &str) -> PasswordHash {
        PasswordHash::import(text).unwrap()
    }

    #[test]
    fn only_the_password_opens_its_hash() {
        let stored = hash("correct horse battery");
        assert!(opens(&stored, "correct horse battery"));
        assert!(!opens(&stored, "correct horse batterz"));
        assert!(!opens(&stored, "correct horse battery "));
    }

    #[test]
    fn hashes_made_by_passlib_verify() {
        for (password, stored) in [
            (
                "password".to_owned(),
                "$bcrypt-sha256$v=2,t=2b,r=4$T1qzdJQ9JksLxaUwULiyYe$/uzC0EwUiBqz3dGCGy31/8o8dYOJwuy",
            ),
            (
                "correct horse battery staple ".repeat(6),
                "$bcrypt-sha256$v=2,t=2b,r=4$fnl05Njpj.0EDaoxVLfVq.$/oWJUjKHlu0KKtiVxgQRItJkelL4sKm",
            ),
            (
                "caf\u{e9} 🦊".to_owned(),
                "$bcrypt-sha256$v=2,t=2b,r=4$BdLrlLjALofrizHCtfvw3.$beZczHkwAFxEXdPeKhjT0gmsP4CQDKi",
            ),
        ] {
            assert!(opens(&imported(stored), &password));
        }
    }

    #[test]
    fn bytes_after_the_72nd_and_after_nul_count() {
        let long = "a".repeat(72);
        assert!(!opens(&hash(&format!("{long}b")), &format!("{long}c")));
        assert!(!opens(&hash("secret\0one"), "secret\0two"));
        assert!(!opens(&hash("P"), "P\0P"));
        let emoji = "🦊".repeat(24);
        assert!(!opens(&hash(&emoji), &"🦊".repeat(23)));
    }

    #[test]
    fn spellings_of_one_text_are_one_password() {
        assert!(opens(&hash("e\u{301}clair"), "\u{e9}clair"));
    }

    /// Made from "correct horse battery staple" by the software named.
    const ASCII: &[&str] = &[
        // bcrypt 4.3.0 (Python)
        "$2a$04$4a4USLJQPfVTAN4WFrtoH.5vuGRUUVlTTAsLRrngqchyHQTQShH8K",
        "$2b$04$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
        // libxcrypt
        "$2y$04$a15nJoij2jbFU7KGYKA0XeG5J25hyvK3Ws0l4tTSk7SI.6nT0hXS.",
        "$2x$04$a15nJoij2jbFU7KGYKA0XeG5J25hyvK3Ws0l4tTSk7SI.6nT0hXS.",
        // argon2-cffi 25.1.0
        "$argon2d$v=19$m=64,t=2,p=2$6Vj33Fqv2wZSQvIHqsAFLw$2wl/WsObBdIsvLjKH07INkkA/SR3qPMcJG9hFZdR0Xc",
        "$argon2i$v=19$m=64,t=2,p=2$UhrPVaj2Mq93wAQ3k7VuCw$zi4iPEzIODTVOOEE42Uw/BAUyqdVqqNrbUSlXFu3zt0",
        "$argon2id$v=19$m=64,t=2,p=2$pb4fQjDNkErybccb4LCzFw$qSAKkI3+rkGESEb7+5MkxY5ntY/8BS4ZgpQ59pdI7Ak",
        "$argon2i$v=16$m=64,t=2,p=2$c29tZXNhbHQxMjM0NTY3OA$1RxKq8Cum05oGhxOPLangg",
        // Django 5.2.19
        "pbkdf2_sha256$1000$lFO5I8v6G55dTJFAkSLx7C$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
        "scrypt$1024$bVQpyUHG1XGta8fTHBLryb$8$5$7Qk2p3R6dyxGBOLhpXRgIt67FWamLalMV5Wx3KHbyB0zDksdVmzK01JwDVoBqNK/8oapTT8YbkbZynhotXBEGQ==",
        // passlib 1.7.4
        "$scrypt$ln=10,r=8,p=1$I0RojRECIMSYM6a09j5nDA$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
    ];

    /// Made from "café 🦊" by the software named.
    const BEYOND_ASCII: &[&str] = &[
        // bcrypt 4.3.0 (Python)
        "$2a$04$R1MT1rgJZGAUPKy6RhA4huyvlE7C1RE2i0cmh9LHa.uA/mfiFLwi.",
        "$2b$04$3JYxxZimopjBECFddivyqOOysadaXgO4AwhmcAvmnl.t82.6PwSQG",
        // libxcrypt
        "$2y$04$UsQGI..FZ7O/afSxdxfX2Ou.ZNdPab9Iqo8ot03H3uEs2lmBtPyxK",
        "$2x$04$UsQGI..FZ7O/afSxdxfX2O1gyqJv6BtLrDSo8IsBapTt6JmzNlCEe",
        // argon2-cffi 25.1.0
        "$argon2id$v=19$m=64,t=2,p=2$8mUVY3vg+JUPj01Fl8XfZg$8oIeldz2TNdTeYEVS1PMZZ1pXssF6j13uzqZE2YLuGw",
        // Django 5.2.19
        "pbkdf2_sha256$1000$KDDLm88r80fZnWExqhtzT2$5tHwHrWt5uLepo5+TaksrX6cAw0JYpm3bjI1KcM1EjQ=",
        "scrypt$1024$LQWTrlGf7e3J6ZH7BXx76d$8$5$gKezC0vZdDMryhES+gYqd6SMZSjaYOQOnR3XfFyV15yG5v/7Emkd293OF1SgCnkU4jz6Ms1cBwJmg7OQ5zzkNw==",
        // passlib 1.7.4
        "$scrypt$ln=10,r=8,p=1$TUmp1bqXMmZsDWFMyZkTwg$zRrcKiII2lXRpwO5L9n0MrePZvyH0oZd5fVknpDnTIs",
    ];

    #[test]
    fn hashes_of_other_systems_verify() {
        for (password, hashes) in [
            ("correct horse battery staple", ASCII),
            ("café 🦊", BEYOND_ASCII),
        ] {
            for stored in hashes {
                assert!(opens(&imported(stored), password), "{stored}");
                assert!(!opens(&imported(stored), &password[1..]), "{stored}");
                assert!(
                    !opens(&imported(stored), &format!("{password}\0x")),
                    "{stored}"
                );
            }
        }
    }

    /// As it was where it comes from, until the hash is made anew.
    #[test]
    fn nobody_has_a_password() {
        let nobody = Scheme::of_nobody(Cost::new(4).unwrap());
        assert!(!nobody.is_of(&Password::parse("password").unwrap()));
    }

    #[test]
    fn of_an_imported_bcrypt_72_bytes_count() {
        // libxcrypt, of "a" 72 times and "b"
        let stored = "$2y$04$UsQGI..FZ7O/afSxdxfX2O1xofkhV8O27RW.jWlRJDHTFjTAyV0eG";
        let long = "a".repeat(72);
        assert!(opens(&imported(stored), &format!("{long}b")));
        assert!(!opens(&imported(stored), &long[1..]));
    }

    #[test]
    fn only_our_own_hash_of_the_current_cost_is_current() {
        let (current, next) = (Cost::new(4).unwrap(), Cost::new(5).unwrap());
        let ours = hash("correct horse battery").scheme().unwrap();
        assert!(ours.is_current(current) && !ours.is_current(next));
        for stored in ASCII {
            assert!(
                !imported(stored).scheme().unwrap().is_current(current),
                "{stored}"
            );
        }
    }

    #[test]
    fn what_is_no_hash_is_not_taken() {
        for stored in [
            "",
            "plain",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
            "$6$salt$abc",
            "bcrypt_sha256$$2b$12$abc",
            "$argon2$v=19$m=64,t=2,p=2$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
        ] {
            assert_eq!(
                PasswordHash::import(stored).err(),
                Some(InvalidHash::UnknownScheme),
                "{stored}"
            );
        }
        for stored in [
            "$2b$12$abc",
            "$2b$xx$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
            "$2b$03$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
            "$2b$04$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6x",
            "$2b$04$é6s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx",
            "$bcrypt-sha256$v=1,t=2b,r=4$a$b",
            "$argon2id$v=19$m=64,t=2$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "$argon2id$v=19$m=64,t=2,p=2,x=1$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "$argon2id$v=19$m=4,t=2,p=2$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "$argon2id$v=19$m=64,t=0,p=2$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "$argon2id$v=19$m=64,t=2,p=2$c2FsdHNhbHQ$",
            "$argon2id$v=19$m=64,t=2,p=2$c2FsdA$1RxKq8Cum05oGhxOPLangg",
            "pbkdf2_sha256$0$saltsalt$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
            "pbkdf2_sha256$1000$saltsalt$c2hvcnQ=",
            "scrypt$1000$saltsalt$8$5$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
            "$scrypt$ln=10,r=0,p=1$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
        ] {
            assert_eq!(
                PasswordHash::import(stored).err(),
                Some(InvalidHash::Damaged),
                "{stored}"
            );
        }
        for stored in [
            "$2b$17$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
            "$2b$31$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
            "$bcrypt-sha256$v=2,t=2b,r=4000000000$T1qzdJQ9JksLxaUwULiyYe$/uzC0EwUiBqz3dGCGy31/8o8dYOJwuy",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "$argon2id$v=19$m=64,t=4294967295,p=1$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
            "pbkdf2_sha256$4294967295$saltsalt$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
            "$scrypt$ln=40,r=8,p=1$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
            "$scrypt$ln=4000000000,r=8,p=1$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
            "$scrypt$ln=0,r=8,p=1048575$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
            "$scrypt$ln=10,r=8,p=4294967295$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
        ] {
            assert_eq!(
                PasswordHash::import(stored).err(),
                Some(InvalidHash::TooMuchWork),
                "{stored}"
            );
        }
    }
}
