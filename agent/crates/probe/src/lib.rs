//! One health-check attempt within a deadline: outcome, latency, evidence. Intervals and thresholds stay in the engine.
