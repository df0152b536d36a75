//! The end of the service, as those who answer see it. First it is announced: the
//! instance is not ready any more, and each answer is the last of its connection. Then
//! connections without a request are closed. In between, load balancers have found
//! another instance, and what they had kept of this one is used up.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Cheap to clone.
#[derive(Clone)]
pub struct Ending {
    stage: Arc<watch::Sender<Stage>>,
    /// Still at the first stage: that there is another is told by one load.
    first: watch::Receiver<Stage>,
    connections: TaskTracker,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serves,
    Announced,
    Closes,
}

/// What a connection has of it.
pub(super) struct Open {
    /// Resolves when it is to be closed, unless there is a request.
    pub(super) closes: Pin<Box<dyn Future<Output = ()>>>,
    pub(super) ending: Ending,
    _counted: TaskTrackerToken,
}

impl Default for Ending {
    fn default() -> Self {
        let (stage, first) = watch::channel(Stage::Serves);
        Self {
            stage: Arc::new(stage),
            first,
            connections: TaskTracker::new(),
        }
    }
}

impl Ending {
    /// From now on the instance is not ready, and answers all the same.
    pub fn announce(&self) {
        self.stage.send_replace(Stage::Announced);
    }

    /// Closes each connection as soon as it has no request.
    pub fn close_connections(&self) {
        self.stage.send_replace(Stage::Closes);
        self.connections.close();
    }

    /// Waits until all connections are closed.
    pub async fn is_closed(&self) {
        self.connections.wait().await;
    }

    pub(super) fn is_announced(&self) -> bool {
        !matches!(self.first.has_changed(), Ok(false))
    }

    /// Resolves when the end is announced.
    pub(super) fn announced(&self) -> impl Future<Output = ()> + use<> {
        self.comes_to(|stage| *stage != Stage::Serves)
    }

    fn comes_to(&self, there: fn(&Stage) -> bool) -> impl Future<Output = ()> + use<> {
        let mut stage = self.first.clone();
        async move {
            let _ = stage.wait_for(there).await;
        }
    }

    pub(super) fn open(&self) -> Open {
        Open {
            closes: Box::pin(self.comes_to(|stage| *stage == Stage::Closes)),
            ending: self.clone(),
            _counted: self.connections.token(),
        }
    }
}
