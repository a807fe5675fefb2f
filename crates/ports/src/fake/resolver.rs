//! A resolver that answers by a script.

use crate::resolve::{Resolve, ResolveError};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Answers each name from its own queue; the last answer of a queue stays.
/// A name without a script does not exist.
#[derive(Debug, Default)]
pub struct ScriptedResolver {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    scripts: BTreeMap<String, VecDeque<Result<Vec<IpAddr>, ResolveError>>>,
    asked: Vec<String>,
}

impl ScriptedResolver {
    /// Nothing resolves yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answer for `host` that has no other before it.
    pub fn then(&self, host: &str, answer: Result<Vec<IpAddr>, ResolveError>) {
        self.inner().scripts.entry(host.to_owned()).or_default().push_back(answer);
    }

    /// From here on `host` has exactly these addresses.
    pub fn set(&self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.inner().scripts.insert(host.to_owned(), VecDeque::from([Ok(addresses.into_iter().collect())]));
    }

    /// Every name that was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.inner().asked.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Resolve for ScriptedResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut inner = self.inner();
        inner.asked.push(host.to_owned());
        let answer = match inner.scripts.get_mut(host) {
            Some(script) if script.len() > 1 => script.pop_front(),
            Some(script) => script.front().cloned(),
            None => None,
        };
        match answer {
            Some(Ok(addresses)) if addresses.is_empty() => Err(ResolveError::NotFound),
            Some(answer) => answer,
            None => Err(ResolveError::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_in_order_and_the_last_one_stays() {
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let resolver = ScriptedResolver::new();
        resolver.then("a.example", Ok(vec![one]));
        resolver.then("a.example", Ok(vec![two]));
        assert_eq!(resolver.resolve("a.example").await, Ok(vec![one]));
        assert_eq!(resolver.resolve("a.example").await, Ok(vec![two]));
        assert_eq!(resolver.resolve("a.example").await, Ok(vec![two]));
        assert_eq!(resolver.resolve("b.example").await, Err(ResolveError::NotFound));
        assert_eq!(resolver.asked(), ["a.example", "a.example", "a.example", "b.example"]);
    }
}
