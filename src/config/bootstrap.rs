//! `bootstrap_admin_*`: the first admin, for who sets up without a browser.

use zeroize::Zeroizing;

use super::reader::Reader;
use crate::domain::email::Email;
use crate::domain::password::{InvalidPassword, NewPassword, Owner, PasswordPolicy};

/// Who becomes the first admin, if there is none when the service starts.
#[derive(Clone)]
pub struct Bootstrap {
    pub email: Email,
    password: Zeroizing<String>,
}

const EMAIL: &str = "bootstrap_admin_email";
const PASSWORD: &str = "bootstrap_admin_password";

impl Bootstrap {
    pub(super) fn read(from: &mut Reader, policy: &PasswordPolicy) -> Option<Self> {
        let email = from.optional(
            EMAIL,
            "Creates this admin at the start, if there is none, with bootstrap_admin_password",
            |text| Email::parse(text).map_err(|error| format!("an e-mail address: it {error}")),
        );
        let password = from.secret(
            PASSWORD,
            None,
            "The password of bootstrap_admin_email; best given as the path of a file",
            |text| Ok(Zeroizing::new(text.to_owned())),
        );
        for (key, other) in [(EMAIL, PASSWORD), (PASSWORD, EMAIL)] {
            if from.is_given(other) && !from.is_given(key) {
                from.mistake(key, &format!("is missing; {other} is set"));
            }
        }
        if let Some(password) = &password
            && let Err(wrong) = parse(password, policy, email.as_ref())
            && from.knows(&[PASSWORD, rule(&wrong)])
        {
            from.mistake(PASSWORD, &format!("is not usable: it {wrong}"));
        }
        Some(Self {
            email: email?,
            password: password?,
        })
    }

    /// # Errors
    /// If the password is none that a user could choose.
    pub fn password(&self, policy: &PasswordPolicy) -> Result<NewPassword, InvalidPassword> {
        parse(&self.password, policy, Some(&self.email))
    }
}

fn parse(
    password: &str,
    policy: &PasswordPolicy,
    email: Option<&Email>,
) -> Result<NewPassword, InvalidPassword> {
    NewPassword::parse(password, policy, Owner { name: None, email })
}

/// The key that a password which is wrong in this way is held against.
const fn rule(wrong: &InvalidPassword) -> &'static str {
    match wrong {
        InvalidPassword::Empty | InvalidPassword::TooLong | InvalidPassword::Common => PASSWORD,
        InvalidPassword::TooShort(_) => "password.min_length",
        InvalidPassword::OfOwner => EMAIL,
        InvalidPassword::OfService => "server.public_url",
    }
}
