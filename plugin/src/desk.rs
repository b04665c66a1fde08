//! WORKER: the tickets and half-made takes of one instance.

use std::sync::Arc;
use std::time::Instant;

use distill_shared::player::Model;

use crate::auditions::{Audition, Request, SIDES};
use crate::instance::Instance;
use crate::source::{Need, Source};
use crate::stream::{MAX_STREAMS, Ticket, WorkerEnd};

/// The tickets and half-made takes of one instance.
pub struct Desk {
    id: u64,
    end: WorkerEnd,
    instance: Arc<Instance>,
    /// The model that plays, and for which choice of a bundle.
    model: Option<(u64, Arc<Model>)>,
    /// Takes that are wanted and not begun, oldest first.
    tickets: Vec<Ticket>,
    sources: Vec<Source>,
    /// Streams that have been sent out and not come back.
    out: usize,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(id: u64, end: WorkerEnd, instance: Arc<Instance>) -> Self {
        let (tickets, sources) = Default::default();
        Self { id, end, instance, model: None, tickets, sources, out: 0 }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whose desk it is.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Serves choice `edition` with `model` from now on, unless it serves a later one. Takes that play go
    /// on with theirs.
    pub fn set_model(&mut self, edition: u64, model: Arc<Model>) {
        // A drive may have been waited for while another bundle was chosen.
        if self.model.as_ref().is_none_or(|(of, _)| *of <= edition) {
            self.model = Some((edition, model));
        }
    }

    /// Does what is to be done before a source is picked: frees what came back, reads new tickets
    /// and begins their takes.
    pub fn tend(&mut self) {
        while let Ok(stream) = self.end.retired.pop() {
            drop(stream);
            self.out -= 1;
        }
        let wanted = self.instance.auditions().wanted();
        self.sources.retain(|source| {
            let number = source.audition_number();
            !source.is_abandoned()
                && !source.is_finished()
                && (number.is_none() || number == wanted)
        });
        while let Ok(ticket) = self.end.tickets.pop() {
            self.tickets.push(ticket);
        }
        // Older sets have been given up.
        let oldest = self.tickets.last().map_or(0, |ticket| ticket.oldest);
        let edition = self.instance.edition();
        self.tickets
            .retain(|ticket| ticket.patch.edition == edition && ticket.generation >= oldest);
        self.begin_takes(edition);
        self.begin_audition(edition);
    }

    /// Opens a source for every ticket that the present model can serve.
    fn begin_takes(&mut self, edition: u64) {
        let Some((_, model)) = self.model.as_ref().filter(|(of, _)| *of == edition) else { return };
        let room = MAX_STREAMS - self.out;
        for ticket in self.tickets.drain(..room.min(self.tickets.len())) {
            let pad = ticket.zone.clip().map(usize::from);
            let clip = pad.and_then(|pad| self.instance.pads().codes(pad)).map(Audition::whole);
            let (stream, source) = Source::open(model, &ticket, clip.map(Request::Codes));
            // There is room for every stream that may be out; without an audio thread the source
            // is abandoned at once.
            let _ = self.end.streams.push(stream);
            self.out += 1;
            self.sources.push(source);
        }
    }

    /// Opens a source for what the editor wants to hear, if that is anything new.
    fn begin_audition(&mut self, edition: u64) {
        let Some((number, request)) = self.instance.auditions().take() else { return };
        let has_room = self.out + SIDES <= MAX_STREAMS;
        let model = self.model.as_ref().filter(|(of, _)| *of == edition && has_room);
        let Some((_, model)) = model.filter(|(_, model)| request.suits(model)) else {
            self.instance.auditions().finish(number);
            return;
        };
        let sides = (0..SIDES).filter_map(|side| Some((side, request.of(side)?)));
        for (side, request) in sides {
            let (stream, source) = Source::audition(model, number, side, request);
            let _ = self.end.streams.push(stream);
            self.out += 1;
            self.sources.push(source);
        }
    }

    /// How much each source needs a worker that does; of those that go with `like`, if it is given.
    pub fn needs(&self, like: Option<&Source>) -> impl Iterator<Item = (usize, Need)> {
        let sources = self.sources.iter().enumerate();
        let sources = sources.filter(move |(_, s)| like.is_none_or(|like| s.goes_with(like)));
        sources.filter_map(|(i, source)| Some((i, source.need()?)))
    }

    /// Takes the neediest source off the desk, of those that go with `like`, if it is given.
    pub fn pick(&mut self, like: Option<&Source>) -> Option<Source> {
        let (i, _) = self.needs(like).min_by_key(|(_, need)| *need)?;
        Some(self.sources.swap_remove(i))
    }

    /// Puts a source back, and says what of it is heard and what is copied if it plays.
    pub fn put_back(&mut self, mut source: Source) {
        if source.is_playing() {
            source.tell(self.instance.history(), Instant::now());
            self.instance.report_copied(source.copied_s());
            self.instance.report_frame(source.has_spared());
        }
        self.sources.push(source);
    }

    /// Whether any take is being played.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.sources.iter().any(Source::is_playing)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (tickets, sources) = (self.tickets.len(), self.sources.len());
        f.debug_struct("Desk")
            .field("id", &self.id)
            .field("tickets", &tickets)
            .field("sources", &sources)
            .finish_non_exhaustive()
    }
}
