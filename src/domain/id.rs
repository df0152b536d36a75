//! One type per kind of id, each a UUIDv7 (RFC 9562): unique, ordered by time,
//! and worth nothing as a credential.

use uuid::Uuid;

use crate::domain::time::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Less than any other.
            pub const FIRST: Self = Self(Uuid::nil());

            /// A new id. `entropy` must be random.
            #[must_use]
            pub fn new(at: Timestamp, entropy: [u8; 10]) -> Self {
                Self(uuid_v7(at, entropy))
            }

            /// The first id there can be of that time; no later one is less.
            #[must_use]
            pub fn first_at(at: Timestamp) -> Self {
                Self(uuid_v7(at, [0; 10]))
            }

            /// The time it was made for.
            #[must_use]
            pub fn time(self) -> Timestamp {
                Timestamp::from_millis((self.0.as_u128() >> 80) as i64)
            }

            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A user.
    UserId
}

id! {
    /// The public id of a session: shown in lists, named in revocations. It
    /// opens nothing.
    SessionId
}

id! {
    /// A row of the audit log.
    EventId
}

id! {
    /// A request, in the log and in the audit log.
    RequestId
}

id! {
    /// A JWT that was minted from a session.
    JwtId
}

id! {
    /// A running process that checks or ends sessions; another at each start.
    InstanceId
}

fn uuid_v7(at: Timestamp, entropy: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid()
}
