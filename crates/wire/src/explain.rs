//! Why an event was, was not, or is not yet delivered.

use crate::DeliveryView;
use serde::Serialize;

/// The answer of `GET /v1/subscriptions/{id}/explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedView {
    /// `not-matched`, or the state of the delivery.
    pub verdict: &'static str,
    /// In the order in which they are asked.
    pub clauses: Vec<ClauseView>,
    /// The delivery, if one is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryView>,
}

/// One question, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseView {
    /// `types`, `subject`, … or a condition of the filter as it is written.
    pub clause: String,
    /// Whether it lets the delivery pass.
    pub matched: bool,
    /// What was found, for people.
    pub why: String,
}
