//! A host that keeps to no rule: calls in any order, blocks of any shape, numbers of any value.

use super::{Block, Change, Instrument};
use crate::dice::Dice;
use crate::endured::Endured;

/// Sample rates that a host asks for.
const RATES: [f64; 10] = [
    8_000.0,
    22_050.0,
    44_100.0,
    48_000.0,
    96_000.0,
    192_000.0,
    1234.5678,
    768_000.0,
    0.0,
    f64::NAN,
];
/// The longest blocks that it promises.
const BLOCKS: [i32; 6] = [1, 17, 441, 2027, 8192, -5];
/// Numbers of parameters.
const INDICES: [i32; 6] = [i32::MIN, -1, 0, 9, 9999, i32::MAX];
/// Numbers of samples of which most are none.
const LENGTHS: [i32; 6] = [-50_000, -1, 0, i32::MIN, 1, 64];

impl Instrument {
    /// Makes `calls` calls, those of `seed`, then stops.
    pub fn endure(&mut self, seed: u64, calls: u32) -> Endured {
        let ids: Vec<u32> = self.parameters().iter().map(|parameter| parameter.id).collect();
        let mut dice = Dice::new(seed);
        let mut endured = Endured::default();
        for _ in 0..calls {
            // Whether it takes such calls is its own business.
            let _ = match dice.below(24) {
                0 => {
                    let mode = mode(&mut dice);
                    self.set_up(dice.one_of(&RATES), dice.one_of(&BLOCKS), mode, 0)
                }
                1 | 2 => self.set_active(dice.once_in(2)),
                3 | 4 => self.set_processing(dice.once_in(2)),
                5 => self.set(dice.one_of(&ids), dice.value()),
                6 => self.parameter(dice.one_of(&INDICES)).map_or(1, |_| 0),
                7 => self.show(dice.one_of(&ids), dice.value()).map_or(1, |_| 0),
                8 => self.project().load(&[b'{'; 9][..dice.below(9) as usize]),
                9 => self.arrange(&mut [dice.one_of(&[0, 1, 3, u64::MAX])]),
                10 => self.activate_bus(mode(&mut dice), 1, mode(&mut dice), dice.once_in(2)),
                _ => self.rough_block(&mut dice, &ids, &mut endured),
            };
        }
        self.set_processing(false);
        self.set_active(false);
        self.arrange(&mut [3]);
        endured
    }

    fn rough_block(&mut self, dice: &mut Dice, ids: &[u32], endured: &mut Endured) -> i32 {
        let odd = dice.once_in(8);
        let len = i32::try_from(dice.below(2000)).unwrap_or(0);
        let mut block = Block::new(if odd { dice.one_of(&LENGTHS) } else { len });
        if odd {
            let channel = block.channels.pop().flatten();
            let channels = [vec![], vec![None, None], vec![channel.clone(); 1], vec![channel; 3]];
            let which = dice.below(5) as usize;
            block.channels = channels.get(which).cloned().unwrap_or(block.channels);
            block.buses = dice.one_of(&[0, 1]);
            block.size = dice.one_of(&[0, 0, 1, 7]);
            block.mode = mode(dice);
        }
        let most = if dice.once_in(60) { 4096 } else { 8 };
        for _ in 0..dice.below(most) {
            let at = i32::try_from(dice.below(2100)).unwrap_or(0);
            let at = if dice.once_in(20) { -at } else { at };
            let key = i16::try_from(dice.below(140)).unwrap_or(0);
            match dice.below(4) {
                #[expect(clippy::cast_possible_truncation, reason = "strange numbers are meant")]
                0 => block.press(at, i32::from(key) - 3, key, dice.value() as f32),
                1 => block.release(at, i32::from(key) - 3, key),
                _ => block.changes.push(Change { id: dice.one_of(ids), at, value: dice.value() }),
            }
        }
        let plays = block.channels.len() == 2 && block.channels.iter().all(Option::is_some);
        let plays = plays && block.samples > 0 && block.buses > 0;
        let answer = self.process(&mut block);
        if answer != 0 || !plays || block.is_untouched() {
            return answer;
        }
        let channels: Vec<_> = block.channels.into_iter().flatten().collect();
        endured.hear(&channels);
        answer
    }
}

/// A mode of processing, or a number that is none; the same for kinds of buses.
fn mode(dice: &mut Dice) -> i32 {
    dice.one_of(&[0, 0, 1, 2, -1, 77])
}
