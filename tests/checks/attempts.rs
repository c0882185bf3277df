//! Attempts as the agent makes them: what waits for one socket and for nothing else is driven together, the rest are futures.

use std::sync::Arc;

use futures::future::{join, join_all};
use ha_probe::{Attempt, Exchanges, Probe, Start};
use tokio::time::Instant;

/// Tries once.
pub(crate) async fn attempt(probe: &Arc<Probe>, deadline: Instant) -> Attempt {
    attempts(probe, deadline, 1).await.pop().expect("it was made")
}

/// Tries so often at once.
pub(crate) async fn attempts(probe: &Arc<Probe>, deadline: Instant, times: usize) -> Vec<Attempt> {
    let mut exchanges = Exchanges::new().expect("an epoll set");
    let (mut ended, mut waiting, mut running) = (Vec::new(), 0..0, Vec::new());
    for _ in 0..times {
        match probe.start(deadline, false) {
            Start::Done(attempt) => ended.push(attempt),
            Start::Running(attempt) => running.push(attempt),
            Start::Exchange(exchange) => {
                exchanges.add(waiting.end, (), exchange);
                waiting.end += 1;
            }
        }
    }
    let together = async {
        for _ in waiting {
            let (_, (), attempt) = exchanges.next().await;
            ended.push(attempt.expect("no panic"));
        }
    };
    let ((), others) = join(together, join_all(running)).await;
    ended.extend(others);
    ended
}
