//! What happens to a stream, as opposed to what happens on the node.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::span::Span;

/// The words for what happens to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum NoticeKind {
    /// We read too slowly, and the agent dropped events.
    Lagged,
    /// The resume token did not carry.
    ResyncRequired,
    /// The agent is about to end.
    GoingAway,
    /// The stream broke; hactl keeps trying.
    NodeLost,
    /// The stream is there again.
    NodeBack,
    /// The agent refuses for good.
    StreamRefused,
}

/// Something that happened to a stream.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Notice {
    /// What.
    pub notice: NoticeKind,
    /// The node, or its endpoint while its name is not known.
    pub node: String,
    /// Why, in UPPER_SNAKE_CASE.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// Events are lost, or may be.
    pub data_lost: bool,
    /// The first lost sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_lost_sequence: Option<i64>,
    /// The last lost sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_lost_sequence: Option<i64>,
    /// Our clock.
    pub time: Timestamp,
    /// The failure behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Notice {
    fn new(notice: NoticeKind, node: &str, reason: &str, message: String) -> Self {
        Notice {
            notice,
            node: node.to_owned(),
            reason: reason.to_owned(),
            message,
            data_lost: false,
            first_lost_sequence: None,
            last_lost_sequence: None,
            time: Timestamp::now(),
            error: None,
        }
    }

    pub(super) fn lost(failure: &Failure) -> Self {
        let message = format!("{}; trying again", failure.message);
        let notice = Notice::new(NoticeKind::NodeLost, &failure.node, &failure.reason, message);
        Notice { error: Some(failure.clone()), ..notice }
    }

    pub(super) fn refused(failure: &Failure) -> Self {
        let notice =
            Notice::new(NoticeKind::StreamRefused, &failure.node, &failure.reason, failure.message.clone());
        Notice { error: Some(failure.clone()), ..notice }
    }

    pub(super) fn back(node: &str) -> Self {
        Notice::new(NoticeKind::NodeBack, node, "RECONNECTED", "the stream is there again".to_owned())
    }

    pub(super) fn lagged(node: &str, lagged: &v1::Lagged) -> Self {
        let message = format!(
            "{} events were dropped because they were read too slowly: {} to {}",
            lagged.lost_count, lagged.first_lost_sequence, lagged.last_lost_sequence
        );
        Notice {
            data_lost: true,
            first_lost_sequence: Some(lagged.first_lost_sequence),
            last_lost_sequence: Some(lagged.last_lost_sequence),
            ..Notice::new(NoticeKind::Lagged, node, "SLOW_READER", message)
        }
    }

    pub(super) fn resync(node: &str, resync: &v1::ResyncRequired, data_lost: bool) -> Self {
        let reason = resync.reason().as_str_name().trim_start_matches("REASON_").to_owned();
        let why = match resync.reason() {
            v1::resync_required::Reason::TokenExpired => "the resume token is older than the history",
            v1::resync_required::Reason::IncarnationChanged => {
                "the agent has restarted, and its history before that is not kept"
            }
            v1::resync_required::Reason::EndUnknown => {
                "the agent was killed, and what happened just before that may not be kept"
            }
            v1::resync_required::Reason::TokenUnknown => "the resume token is not one of this agent",
            v1::resync_required::Reason::Unspecified => "the stream cannot go on where it was",
        };
        let lost = if data_lost { "events may be missing" } else { "no event is missing" };
        Notice {
            data_lost,
            ..Notice::new(NoticeKind::ResyncRequired, node, &reason, format!("{why}: {lost}"))
        }
    }

    pub(super) fn going_away(node: &str, going: &v1::GoingAway) -> Self {
        let back = going.retry_delay.as_ref().map(|span| format!(", back in {}", Span::from(span)));
        let message = format!("{}{}", going.reason, back.unwrap_or_default());
        Notice::new(NoticeKind::GoingAway, node, "GOING_AWAY", message)
    }

    /// The line for standard error.
    pub(crate) fn sentence(&self) -> String {
        let word = match self.notice {
            NoticeKind::Lagged => "lagged",
            NoticeKind::ResyncRequired => "resync required",
            NoticeKind::GoingAway => "going away",
            NoticeKind::NodeLost => "node lost",
            NoticeKind::NodeBack => "node back",
            NoticeKind::StreamRefused => "stream refused",
        };
        format!("{word}: {}: {} ({})", self.node, self.message, self.reason)
    }
}
