//! The same request twice is one effect and one answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

type Text = String;

fn effect(
    count: &Arc<AtomicU64>,
    outcome: Result<&str, Status>,
) -> impl Future<Output = Result<Text, Status>> + use<> {
    let (count, outcome) = (Arc::clone(count), outcome.map(str::to_owned));
    async move {
        count.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_an_hour_and_then_forgotten() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("first"))).await.unwrap(), "first");
    tokio::time::advance(KEPT - Duration::from_secs(1)).await;
    assert_eq!(
        once.run(User::Unix(1), "id", &question, effect(&count, Ok("second"))).await.unwrap(),
        "first"
    );
    assert_eq!(count.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("third"))).await.unwrap(), "third");
    let table = once.lock();
    assert_eq!(
        (table.answers.len(), table.order.len(), table.octets),
        (1, 1, "third".to_owned().encoded_len())
    );
}

#[tokio::test]
async fn users_do_not_share_ids_and_no_id_shares_nothing() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    for (user, id) in [(1, "id"), (2, "id"), (1, ""), (1, "")] {
        once.run(User::Unix(user), id, &question, effect(&count, Ok("answer"))).await.unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    assert!(once.run(User::Unix(1), "id", &question, effect(&count, Err(internal()))).await.is_err());
    assert_eq!(
        once.run(User::Unix(1), "id", &"another".to_owned(), effect(&count, Ok("now"))).await.unwrap(),
        "now"
    );
    assert_eq!(once.lock().order.len(), 1);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_id_is_free_again() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    let broken = async { panic!("in a test") };
    assert!(once.run::<_, Text>(User::Unix(1), "id", &question, broken).await.is_err());
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("now"))).await.unwrap(), "now");
}

#[tokio::test]
async fn a_full_table_refuses_instead_of_forgetting_too_early() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    let large = "x".repeat(1 << 20);
    for number in 0..16 {
        once.run(User::Unix(1), &number.to_string(), &question, effect(&count, Ok(&large))).await.unwrap();
    }
    let refused =
        once.run(User::Unix(1), "one more", &question, effect(&count, Ok("small"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(once.run(User::Unix(1), "3", &question, effect(&count, Ok("small"))).await.unwrap(), large);
    assert!(once.run(User::Unix(1), "", &question, effect(&count, Ok("small"))).await.is_ok());
}
