//! Ranks of which each is a thread.

use std::sync::{Barrier, Mutex};

use anyhow::Result;
use distill_trainer::ranks::Ranks;

/// Where ranks leave what the others need.
pub(crate) struct Table {
    all_are_here: Barrier,
    places: Mutex<Vec<Vec<u8>>>,
}

impl Table {
    /// One for `count` ranks.
    pub(crate) fn new(count: usize) -> Self {
        Self { all_are_here: Barrier::new(count), places: Mutex::new(vec![Vec::new(); count]) }
    }
}

/// One rank.
pub(crate) struct Thread<'a> {
    pub(crate) rank: usize,
    pub(crate) count: usize,
    pub(crate) table: &'a Table,
}

impl Ranks for Thread<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn add(&self, values: &mut [f64]) -> Result<()> {
        let own: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        values.fill(0.0);
        for other in self.gather(&own)? {
            let other = other.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
            values.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.table.places.lock().unwrap()[self.rank] = own.to_vec();
        self.table.all_are_here.wait();
        let all = self.table.places.lock().unwrap().clone();
        // Nobody leaves something else before all have read.
        self.table.all_are_here.wait();
        Ok(all)
    }
}
