//! One block, as it should be or as it should not.

use std::ptr::null_mut;

use vst3::ComWrapper;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, Event, Event__type0, IAudioProcessorTrait, IEventList,
    IParameterChanges, NoteOffEvent, NoteOnEvent, ProcessContext, ProcessData,
};

use super::Instrument;
use super::objects::{Changes, Events};

/// A parameter gets another value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The parameter.
    pub id: u32,
    /// Sample of the block.
    pub at: i32,
    /// The value, 0 to 1.
    pub value: f64,
}

/// What a plugin is given to process.
pub struct Block {
    /// Samples of each channel.
    pub samples: i32,
    /// 0 live, 2 to a file.
    pub mode: i32,
    /// 0 for samples of 32 bits.
    pub size: i32,
    /// Buses that come out: 1, or 0 for none.
    pub buses: i32,
    /// Memory of the channels of the first; `None` for a channel without.
    pub channels: Vec<Option<Vec<f32>>>,
    /// Changes of parameters.
    pub changes: Vec<Change>,
    /// Where in its song the host is, if it says.
    pub context: Option<ProcessContext>,
    /// Keys that go down and come up.
    pub events: Vec<Event>,
}

impl Block {
    /// A block of `samples`, in which nothing happens. Its memory holds no number, so that what was not
    /// written is found out.
    #[must_use]
    pub fn new(samples: i32) -> Self {
        let channel = vec![f32::NAN; usize::try_from(samples).unwrap_or(0)];
        let channels = vec![Some(channel); 2];
        let (changes, events) = (Vec::new(), Vec::new());
        Self { samples, mode: 0, size: 0, buses: 1, channels, changes, context: None, events }
    }

    /// Lets a key go down at sample `at`.
    pub fn press(&mut self, at: i32, note: i32, key: i16, velocity: f32) {
        let event =
            NoteOnEvent { channel: 0, pitch: key, tuning: 0.0, velocity, length: 0, noteId: note };
        self.push(at, 0, Event__type0 { noteOn: event });
    }

    /// Lets it come up.
    pub fn release(&mut self, at: i32, note: i32, key: i16) {
        let event =
            NoteOffEvent { channel: 0, pitch: key, velocity: 0.0, noteId: note, tuning: 0.0 };
        self.push(at, 1, Event__type0 { noteOff: event });
    }

    fn push(&mut self, at: i32, kind: u16, event: Event__type0) {
        self.events.push(Event {
            busIndex: 0,
            sampleOffset: at,
            ppqPosition: 0.0,
            flags: 0,
            r#type: kind,
            __field0: event,
        });
    }

    /// Whether every sample was written, with a number.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.channels.iter().flatten().flatten().all(|sample| sample.is_finite())
    }

    /// Whether none was.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.channels.iter().flatten().flatten().all(|sample| sample.is_nan())
    }
}

impl Instrument {
    /// Gives the plugin a block; what it plays is in the block's channels then.
    pub fn process(&mut self, block: &mut Block) -> i32 {
        let len = usize::try_from(block.samples).unwrap_or(0);
        assert!(block.channels.iter().flatten().all(|channel| channel.len() >= len));
        let of = |channel: &mut Option<Vec<f32>>| {
            channel.as_mut().map_or(null_mut(), |channel| channel.as_mut_ptr())
        };
        let mut pointers: Vec<*mut f32> = block.channels.iter_mut().map(of).collect();
        let mut bus = AudioBusBuffers {
            numChannels: i32::try_from(pointers.len()).unwrap_or(0),
            silenceFlags: 0,
            __field0: AudioBusBuffers__type0 {
                channelBuffers32: if pointers.is_empty() {
                    null_mut()
                } else {
                    pointers.as_mut_ptr()
                },
            },
        };
        let changes = ComWrapper::new(Changes::new(&block.changes));
        let changes = changes.to_com_ptr::<IParameterChanges>();
        let events = ComWrapper::new(Events(block.events.clone())).to_com_ptr::<IEventList>();
        let context = block.context.as_mut().map_or(null_mut(), std::ptr::from_mut);
        let mut data = ProcessData {
            processMode: block.mode,
            symbolicSampleSize: block.size,
            numSamples: block.samples,
            numInputs: 0,
            numOutputs: block.buses,
            inputs: null_mut(),
            outputs: if block.buses > 0 { &raw mut bus } else { null_mut() },
            inputParameterChanges: changes.as_ref().map_or(null_mut(), |it| it.as_ptr()),
            outputParameterChanges: null_mut(),
            inputEvents: events.as_ref().map_or(null_mut(), |it| it.as_ptr()),
            outputEvents: null_mut(),
            processContext: context,
        };
        // SAFETY: everything it points to lives until the call returns, and is as long as it says.
        unsafe { self.processor.process(&raw mut data) }
    }
}
