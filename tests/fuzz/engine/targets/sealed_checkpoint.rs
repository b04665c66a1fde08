#![no_main]

distill_fuzz_engine::target!(sealed_checkpoint);
