//! How each domain type is written to and read from a column, in both dialects.
//! What is read is parsed again: a row that breaks a rule is an error.

use std::net::IpAddr;

use ipnet::IpNet;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::types::Uuid;
use sqlx::types::time::OffsetDateTime;
use sqlx::{Database, Decode, Encode, Postgres, Sqlite, Type};

use crate::domain::attempt::BudgetKey;
use crate::domain::client::UserAgent;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::exchange::JwtDigest;
use crate::domain::id::{EventId, InstanceId, RequestId, SessionId, UserId};
use crate::domain::instance::BeatNumber;
use crate::domain::link::LinkDigest;
use crate::domain::password::PasswordHash;
use crate::domain::revocation::{LogNumber, Mark, MarkPrefix};
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Role, Status, UserName};

/// `column!(T, Postgres as C, write, read)`: `T` is stored in a column of type `C`.
macro_rules! column {
    ($type:ty, $database:ty as $column:ty, $write:expr, $read:expr) => {
        impl Type<$database> for $type {
            fn type_info() -> <$database as Database>::TypeInfo {
                <$column as Type<$database>>::type_info()
            }

            fn compatible(info: &<$database as Database>::TypeInfo) -> bool {
                <$column as Type<$database>>::compatible(info)
            }
        }

        impl Encode<'_, $database> for $type {
            fn encode_by_ref(
                &self,
                buffer: &mut <$database as Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                let write: fn(&Self) -> $column = $write;
                Encode::<$database>::encode(write(self), buffer)
            }
        }

        impl<'r> Decode<'r, $database> for $type {
            fn decode(value: <$database as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let read: fn($column) -> Result<Self, BoxDynError> = $read;
                read(<$column as Decode<'r, $database>>::decode(value)?)
            }
        }
    };
    ($type:ty as $column:ty, $write:expr, $read:expr) => {
        column!($type, Postgres as $column, $write, $read);
        column!($type, Sqlite as $column, $write, $read);
    };
}

column!(UserId as Uuid, |id| id.as_uuid(), |uuid| Ok(uuid.into()));
column!(SessionId as Uuid, |id| id.as_uuid(), |uuid| Ok(uuid.into()));
column!(EventId as Uuid, |id| id.as_uuid(), |uuid| Ok(uuid.into()));
column!(RequestId as Uuid, |id| id.as_uuid(), |uuid| Ok(uuid.into()));
column!(
    InstanceId as Uuid,
    |id| id.as_uuid(),
    |uuid| Ok(uuid.into())
);
column!(Mark as Uuid, |mark| Uuid::from_bytes(mark.0), |uuid| Ok(
    Self(uuid.into_bytes())
));
column!(Email as String, |email| email.as_str().to_owned(), |text| {
    Ok(Self::parse(&text)?)
});
column!(
    UserName as String,
    |name| name.as_str().to_owned(),
    |text| Ok(Self::from_stored(&text))
);
column!(
    PasswordHash as String,
    |hash| hash.as_stored().to_owned(),
    |text| Ok(Self::from_stored(text))
);
column!(
    UserAgent as String,
    |agent| agent.as_str().to_owned(),
    |text| { Self::parse(text.as_bytes()).ok_or_else(|| "an empty user agent".into()) }
);
column!(CredentialVersion as i64, |version| version.0, |number| Ok(
    Self(number)
));
column!(
    LogNumber as i64,
    |number| number.get().cast_signed(),
    |number| Ok(Self::new(number.try_into()?))
);
column!(
    BeatNumber as i64,
    |number| number.get().cast_signed(),
    |number| Ok(Self::new(number.try_into()?))
);
column!(MarkPrefix as Vec<u8>, |mark| mark.0.to_vec(), |bytes| {
    let bytes = bytes.try_into();
    Ok(Self(bytes.map_err(|_| "not the beginning of a mark")?))
});
column!(
    TokenDigest as Vec<u8>,
    |digest| digest.as_bytes().to_vec(),
    |bytes| {
        let bytes = bytes
            .try_into()
            .map_err(|_| "a digest that is not 32 bytes long")?;
        Ok(Self::from_bytes(bytes))
    }
);
column!(
    LinkDigest as Vec<u8>,
    |digest| digest.as_bytes().to_vec(),
    |_| Err("a link's digest is not read".into())
);
column!(BudgetKey as Vec<u8>, |key| key.as_bytes().to_vec(), |_| {
    Err("a budget's key is not read".into())
});
column!(
    JwtDigest as Vec<u8>,
    |digest| digest.as_bytes().to_vec(),
    |_| Err("a JWT's digest is not read".into())
);
column!(Role as String, |role| role.as_str().to_owned(), |text| Ok(
    Self::parse(&text)?
));
column!(
    Status as String,
    |status| status.as_str().to_owned(),
    |text| Ok(Self::parse(&text)?)
);

column!(
    Timestamp,
    Postgres as OffsetDateTime,
    |at| (*at).into(),
    |moment| Ok(moment.into())
);
column!(Timestamp, Sqlite as i64, |at| at.as_millis(), |millis| Ok(
    Self::from_millis(millis)
));

/// The address of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(pub IpAddr);

column!(
    Address,
    Postgres as IpNet,
    |address| address.0.into(),
    |net| Ok(Self(net.addr()))
);
// In SQLite, such that the order of the bytes is the order of addresses, as
// PostgreSQL has it: the version, then the address.
column!(
    Address,
    Sqlite as Vec<u8>,
    |address| match address.0 {
        IpAddr::V4(v4) => [&[4], &v4.octets()[..]].concat(),
        IpAddr::V6(v6) => [&[6], &v6.octets()[..]].concat(),
    },
    |bytes| match bytes.split_first() {
        Some((4, v4)) => Ok(Self(<[u8; 4]>::try_from(v4)?.into())),
        Some((6, v6)) => Ok(Self(<[u8; 16]>::try_from(v6)?.into())),
        _ => Err("an address of no version".into()),
    }
);
