//! Who may ask, and how often: keys and token buckets.

use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
struct Known {
    clients: HashMap<String, String>,         // key → client
    buckets: HashMap<String, (f64, Instant)>, // client → requests in hand, since when
}

#[derive(Debug)]
pub(super) struct Gate {
    rate: Option<f64>,
    known: Mutex<Known>,
}

impl Gate {
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self { rate, known: Mutex::default() }
    }

    /// The client's key; a new one for a new client.
    pub(super) fn key(&self, client: &str) -> String {
        let mut known = self.known();
        if let Some((key, _)) = known.clients.iter().find(|entry| entry.1 == client) {
            return key.clone();
        }
        // A key that another could compute from a seed would be none.
        let mut rng: ChaCha20Rng = rand::make_rng();
        let key = format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64());
        known.clients.insert(key.clone(), client.to_string());
        key
    }

    pub(super) fn client(&self, key: &str) -> Option<String> {
        self.known().clients.get(key).cloned()
    }

    /// Takes one request of a client's allowance; otherwise the seconds until there is one.
    pub(super) fn pass(&self, client: &str, now: Instant) -> Result<(), u64> {
        let Some(rate) = self.rate else { return Ok(()) };
        let most = rate.max(1.0);
        let mut known = self.known();
        let (tokens, since) = known.buckets.get(client).copied().unwrap_or((most, now));
        let tokens = (tokens + rate * now.saturating_duration_since(since).as_secs_f64()).min(most);
        let (left, verdict) = match tokens >= 1.0 {
            true => (tokens - 1.0, Ok(())),
            false => (tokens, Err(((1.0 - tokens) / rate).ceil() as u64)),
        };
        known.buckets.insert(client.to_string(), (left, now));
        verdict
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_client_has_one_key_and_no_two_share_one() {
        let gate = Gate::new(None);
        assert_eq!(gate.key("alice"), gate.key("alice"));
        assert_ne!(gate.key("alice"), gate.key("bob"));
        assert_eq!((gate.client(&gate.key("bob")).as_deref(), gate.client("guess")), (Some("bob"), None));
        assert_eq!(gate.key("bob").len(), 32);
    }

    #[test]
    fn a_bucket_fills_at_its_rate_up_to_a_second_and_each_client_has_its_own() {
        let (gate, start) = (Gate::new(Some(2.0)), Instant::now());
        let at = |client: &str, ms: u64| gate.pass(client, start + Duration::from_millis(ms)).is_ok();
        assert_eq!([0, 0, 0].map(|ms| at("alice", ms)), [true, true, false]);
        assert!(at("bob", 0));
        assert_eq!([499, 501, 502].map(|ms| at("alice", ms)), [false, true, false]);
        assert_eq!([90_000, 90_000, 90_000].map(|ms| at("alice", ms)), [true, true, false]);
        let slow = Gate::new(Some(0.1));
        assert_eq!((slow.pass("a", start), slow.pass("a", start)), (Ok(()), Err(10)));
    }
}
