//! User agents, packed: at over a hundred bytes they would be the longest part of a
//! copy, and they are all alike. LZ4 (its block format), beginning with a dictionary.

use lz4_flex::block::{compress_with_dict, decompress_into_with_dict};

use crate::domain::client::{MAX_USER_AGENT_LENGTH, UserAgent};

/// Part of the layout: never changed without another version of it.
const DICTIONARY: &[u8] =
    b"SamsungBrowser/28.0 CriOS/141.0.7390.41 FxiOS/144.0 GSA/390.0 OPR/123.0.0.0 \
    (iPad; CPU OS 18_6 like Mac OS X) (X11; CrOS x86_64 14541.0.0) (X11; Ubuntu; \
    (compatible; Googlebot/2.1; +http://www.google.com/bot.html) \
    Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0\
    Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0\
    Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0\
    Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.6 Safari/605.1.15\
    Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) AppleWebKit/605.1.15 \
    (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1\
    Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Mobile Safari/537.36\
    Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36\
    Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36\
    Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0";

pub(super) fn pack(user_agent: &UserAgent) -> Vec<u8> {
    compress_with_dict(user_agent.as_str().as_bytes(), DICTIONARY)
}

/// `None` for what [`pack`] did not make.
pub(super) fn unpack(packed: &[u8]) -> Option<UserAgent> {
    let mut text = [0; MAX_USER_AGENT_LENGTH];
    let length = decompress_into_with_dict(packed, &mut text, DICTIONARY).ok()?;
    UserAgent::parse(&text[..length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_browsers_send_takes_little_room() {
        for (sent, room) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/151.0.0.0 Safari/537.36",
                24,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:151.0) Gecko/20100101 Firefox/151.0",
                24,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
                40,
            ),
            (
                "Mozilla/5.0 (Linux; Android 16; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/151.0.7444.102 Mobile Safari/537.36",
                52,
            ),
        ] {
            let packed = pack(&UserAgent::parse(sent.as_bytes()).unwrap());
            assert!(packed.len() <= room, "{} bytes: {sent}", packed.len());
            assert_eq!(unpack(&packed).unwrap().as_str(), sent);
        }
    }

    proptest! {
        #[test]
        fn whatever_was_sent_is_unpacked_as_it_was(sent in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(user_agent) = UserAgent::parse(&sent) {
                prop_assert_eq!(unpack(&pack(&user_agent)), Some(user_agent));
            }
        }

        #[test]
        fn garbage_is_no_user_agent_or_a_clean_one(packed in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(unpacked) = unpack(&packed) {
                prop_assert_eq!(UserAgent::parse(unpacked.as_str().as_bytes()), Some(unpacked.clone()));
            }
        }
    }
}
