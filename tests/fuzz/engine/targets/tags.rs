#![no_main]

distill_fuzz_engine::target!(tags);
