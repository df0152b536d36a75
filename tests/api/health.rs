use reqwest::Method;
use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;

#[rstest]
#[tokio::test]
async fn a_running_instance_is_alive_and_ready(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    for path in ["/health/alive", "/health/ready"] {
        for method in [Method::GET, Method::HEAD] {
            let mut browser = app.browser();
            let answer = browser.send(browser.request(method, path)).await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
}
