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

impl Bootstrap {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let email = from.optional(
            "bootstrap_admin_email",
            "Creates this admin at the start, if there is none, with bootstrap_admin_password",
            |text| Email::parse(text).map_err(|error| format!("an e-mail address: it {error}")),
        );
        let password = from.secret(
            "bootstrap_admin_password",
            None,
            "The password of bootstrap_admin_email; best given as the path of a file",
            |text| Ok(Zeroizing::new(text.to_owned())),
        );
        match (email, password) {
            (Some(email), Some(password)) => Some(Self { email, password }),
            (Some(_), None) => {
                from.mistake(
                    "bootstrap_admin_password",
                    "is missing; bootstrap_admin_email is set",
                );
                None
            }
            (None, Some(_)) => {
                from.mistake(
                    "bootstrap_admin_email",
                    "is missing; bootstrap_admin_password is set",
                );
                None
            }
            (None, None) => None,
        }
    }

    /// # Errors
    /// If the password is none that a user could choose.
    pub fn password(&self, policy: &PasswordPolicy) -> Result<NewPassword, InvalidPassword> {
        let owner = Owner {
            name: None,
            email: Some(&self.email),
        };
        NewPassword::parse(&self.password, policy, owner)
    }
}
