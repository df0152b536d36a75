//! What a password must be to be set. There is no rule about what it is made of
//! (ASVS 6.2.5), only about what it must not be: easy to guess.

use zeroize::Zeroizing;

use super::common::{fold, is_common, repeated};
use super::{InvalidPassword, Password};
use crate::domain::email::Email;
use crate::domain::text::is_deceptive;
use crate::domain::user::{User, UserName};

const SERVICE: &str = "gatelodge";

/// What is asked of every new password.
#[derive(Clone)]
pub struct PasswordPolicy {
    min_length: usize,
    /// What this service is called.
    service: [String; 2],
}

/// Whose password it is to be, as far as that is known.
#[derive(Clone, Copy, Default)]
pub struct Owner<'a> {
    pub name: Option<&'a UserName>,
    pub email: Option<&'a Email>,
}

impl<'a> From<&'a User> for Owner<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            name: Some(&user.name),
            email: Some(&user.email),
        }
    }
}

impl Owner<'_> {
    /// The name and its parts, the e-mail address and what stands before its @.
    fn words(&self) -> impl Iterator<Item = &str> {
        let name = self.name.map(UserName::as_str);
        let email = self.email.map(Email::as_str);
        let parts = name.into_iter().flat_map(str::split_whitespace);
        let local = email.and_then(|email| email.split('@').next());
        name.into_iter().chain(email).chain(local).chain(parts)
    }
}

impl PasswordPolicy {
    /// `min_length` is in code points; `host` is the one that users see.
    #[must_use]
    pub fn new(min_length: usize, host: &str) -> Self {
        Self {
            min_length,
            service: [SERVICE.to_owned(), host.to_owned()],
        }
    }

    #[must_use]
    pub const fn min_length(&self) -> usize {
        self.min_length
    }
}

/// A password good enough to be set by its owner.
pub struct NewPassword(Password);

impl NewPassword {
    /// # Errors
    /// Refuses what is too short (ASVS 6.2.1, 6.2.9), and what would be guessed first: a
    /// common password, the name or e-mail address of its owner, or the name or host of
    /// this service (NIST SP 800-63B-4, 3.1.1.2; ASVS 6.2.4, 6.2.11), alone or repeated,
    /// in small or capital letters. A longer text that has such a word in it is good.
    pub fn parse(
        text: &str,
        policy: &PasswordPolicy,
        owner: Owner<'_>,
    ) -> Result<Self, InvalidPassword> {
        let password = Password::parse(text)?;
        if password.0.chars().count() < policy.min_length {
            return Err(InvalidPassword::TooShort(policy.min_length));
        }
        let folded = fold(&shown(&password.0));
        if folded.is_empty() || is_common(&folded) {
            return Err(InvalidPassword::Common);
        }
        let squeezed = squeeze(&folded);
        let is_like = |word: &str| {
            let word = squeeze(&fold(word));
            !word.is_empty() && repeated(&word) == repeated(&squeezed)
        };
        if owner.words().any(is_like) {
            return Err(InvalidPassword::OfOwner);
        }
        if policy.service.iter().any(|name| is_like(name)) {
            return Err(InvalidPassword::OfService);
        }
        Ok(Self(password))
    }

    #[must_use]
    pub fn into_password(self) -> Password {
        self.0
    }
}

/// Without blanks around it and what nobody sees, which make it no better.
fn shown(text: &str) -> Zeroizing<String> {
    let mut kept = Zeroizing::new(String::with_capacity(text.len()));
    kept.extend(text.trim().chars().filter(|c| !is_deceptive(*c)));
    kept
}

/// Letters and digits alone, since "Ada Lovelace" is "ada.lovelace".
fn squeeze(folded: &str) -> Zeroizing<String> {
    let mut kept = Zeroizing::new(String::with_capacity(folded.len()));
    kept.extend(folded.chars().filter(|c| c.is_alphanumeric()));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, min_length: usize) -> Result<NewPassword, InvalidPassword> {
        let (name, email) = (
            UserName::parse("Ada Lovelace"),
            Email::parse("ada1@example.com"),
        );
        let owner = Owner {
            name: name.as_ref().ok(),
            email: email.as_ref().ok(),
        };
        NewPassword::parse(
            text,
            &PasswordPolicy::new(min_length, "login.example.org"),
            owner,
        )
    }

    #[track_caller]
    fn refused(text: &str, why: &InvalidPassword) {
        assert_eq!(parse(text, 8).err().as_ref(), Some(why), "{text}");
    }

    #[test]
    fn a_new_password_is_measured_in_code_points() {
        assert!(parse(&"🦊".repeat(15), 15).is_ok());
        let short = parse(&"🦊".repeat(14), 15).err();
        assert_eq!(short, Some(InvalidPassword::TooShort(15)));
        assert!(parse(&"a".repeat(1024), 15).is_ok());
        let long = parse(&"a".repeat(1025), 15).err();
        assert_eq!(long, Some(InvalidPassword::TooLong));
    }

    #[test]
    fn a_common_password_is_none_however_it_is_written() {
        for text in [
            "                    ",
            " passwordpassword ",
            "pass\u{200b}word\u{ad}password",
            "password",
            "iloveyou",
            "Password1",
            "QWERTYUIOP",
            "ｐａｓｓｗｏｒｄ",
            "1qaz2wsx3edc4rfv",
            "qwertyuiopasdfghjklzxcvbnm",
            "manchesterunited",
            "123456789123456789",
            "dragonDragondragon",
            "monkeymonkeymonkeymonkey",
        ] {
            refused(text, &InvalidPassword::Common);
        }
    }

    #[test]
    fn what_everybody_knows_of_its_owner_is_no_password() {
        for text in [
            "Ada Lovelace",
            "ada.lovelace",
            "LOVELACE",
            "lovelace lovelace",
            "ada1@example.com",
            "ADA1EXAMPLECOM",
            "ada1ada1ada1ada1",
        ] {
            refused(text, &InvalidPassword::OfOwner);
        }
        for text in [
            "gatelodge",
            "Gate-Lodge",
            "gatelodgegatelodge",
            "login.example.org",
        ] {
            refused(text, &InvalidPassword::OfService);
        }
    }

    #[test]
    fn what_only_has_such_a_word_in_it_is_good() {
        for text in [
            "my password is not this one",
            "gatelodge opens at nine",
            "ada lovelace wrote notes",
            "correct horse battery staple",
            "no capitals and no digits",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(parse(text, 15).is_ok(), "{text}");
        }
    }
}
