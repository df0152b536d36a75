use std::time::Duration;

use gatelodge::domain::exchange::{ForeignJwt, JwtDigest, Named};
use gatelodge::domain::id::UserId;
use gatelodge::store::ledger::{Ledger, NotExchanged};
use rstest::rstest;

use super::Backend::{self, Postgres, Sqlite};
use super::{NOW, act, draft, open, registered};

fn jwt(user: UserId, jti: &str) -> ForeignJwt {
    ForeignJwt {
        digest: JwtDigest::of("https://old.example.com", jti),
        named: Named::Id(user),
        expires_at: NOW + Duration::from_mins(10),
    }
}

/// Why it is not exchanged, if it is not.
async fn exchange(ledger: &Ledger, jwt: &ForeignJwt) -> Option<NotExchanged> {
    let exchanged = ledger.exchange(jwt, &draft(), None, None, act()).await;
    exchanged.unwrap().err()
}

#[rstest]
#[tokio::test]
async fn an_exchanged_jwt_is_known_until_nobody_takes_it_any_more(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    for jti in ["1", "2", "3"] {
        assert_eq!(exchange(&ledger, &jwt(user, jti)).await, None);
    }
    let (one, used) = (jwt(user, "1"), Some(NotExchanged::Used(user)));
    assert_eq!(exchange(&ledger, &one).await, used);

    let before = one.expires_at - Duration::from_millis(1);
    assert_eq!(ledger.delete_expired_jwts(before, 2).await.unwrap(), 0);
    assert_eq!(exchange(&ledger, &one).await, used);
    for expected in [2, 1, 0] {
        let deleted = ledger.delete_expired_jwts(one.expires_at, 2).await;
        assert_eq!(deleted.unwrap(), expected);
    }
}
