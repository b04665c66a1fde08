//! Files that are dragged out of another program and dropped: the source's side of XDND, version 5
//! (<https://www.freedesktop.org/wiki/Specifications/XDND/>).

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, ClientMessageEvent, ConnectionExt, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Timestamp,
};
use x11rb::wrapper::ConnectionExt as _;

use super::Screen;

/// Of the protocol.
const VERSION: u32 = 5;
/// The time of everything that is dragged; servers begin to count at their start.
const TIME: Timestamp = 1;
/// Looks at what the window answers, and the pause between two of them.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

x11rb::atom_manager! {
    /// Names of the protocol.
    Names: NamesCookie {
        XdndAware,
        XdndEnter,
        XdndPosition,
        XdndStatus,
        XdndDrop,
        XdndFinished,
        XdndSelection,
        XdndActionCopy,
        List: b"text/uri-list",
    }
}

impl Screen {
    /// Drags a file to a pixel and drops it there. It comes back once the window has taken it.
    ///
    /// # Errors
    ///
    /// Fails if no window there takes files, or the one that does does not answer.
    pub fn drop_file(&self, path: &Path, (x, y): (i16, i16)) -> Result<()> {
        let names = Names::new(&self.connection)?.reply()?;
        let target = self.aware((x, y), names.XdndAware)?;
        let source = self.window(1, 1)?;
        self.connection.set_selection_owner(source, names.XdndSelection, TIME)?.check()?;
        let path = path.to_str().context("paths of tests are plain")?.replace(' ', "%20");
        let drag = Drag { screen: self, names, target, list: format!("file://{path}\r\n") };

        drag.tell(names.XdndEnter, [source, VERSION << 24, names.List, 0, 0])?;
        let place = u32::from(x.cast_unsigned()) << 16 | u32::from(y.cast_unsigned());
        drag.tell(names.XdndPosition, [source, 0, place, TIME, names.XdndActionCopy])?;
        ensure!(drag.answer(names.XdndStatus)?, "the window takes no files");
        drag.tell(names.XdndDrop, [source, 0, TIME, 0, 0])?;
        ensure!(drag.answer(names.XdndFinished)?, "the window did not take the file");
        self.destroy(source)
    }

    /// The innermost window at a pixel that says it takes what is dropped.
    fn aware(&self, (x, y): (i16, i16), aware: Atom) -> Result<u32> {
        let (mut window, mut found) = (self.root, None);
        loop {
            let at = self.connection.translate_coordinates(self.root, window, x, y)?.reply()?;
            if at.child == x11rb::NONE {
                return found.context("no window there takes what is dropped");
            }
            window = at.child;
            let says = self.connection.get_property(false, window, aware, 0_u32, 0, 1)?.reply()?;
            if says.value_len > 0 {
                found = Some(window);
            }
        }
    }
}

/// A file on its way.
struct Drag<'a> {
    screen: &'a Screen,
    names: Names,
    target: u32,
    /// What is dragged, as the window is given it.
    list: String,
}

impl Drag<'_> {
    fn tell(&self, what: Atom, data: [u32; 5]) -> Result<()> {
        let message = ClientMessageEvent::new(32, self.target, what, data);
        let connection = &self.screen.connection;
        Ok(connection.send_event(false, self.target, EventMask::NO_EVENT, message)?.check()?)
    }

    /// Waits for an answer, and gives the window the file when it asks for it. Whether it accepts.
    fn answer(&self, what: Atom) -> Result<bool> {
        for _ in 0..LOOKS {
            while let Some(event) = self.screen.connection.poll_for_event()? {
                match event {
                    Event::SelectionRequest(request) => self.give(&request)?,
                    Event::ClientMessage(message) if message.type_ == what => {
                        return Ok(message.data.as_data32()[1] & 1 == 1);
                    }
                    _ => {}
                }
            }
            sleep(PAUSE);
        }
        bail!("the window does not answer")
    }

    fn give(&self, request: &SelectionRequestEvent) -> Result<()> {
        let SelectionRequestEvent { requestor, selection, target, property, time, .. } = *request;
        let (connection, list) = (&self.screen.connection, self.list.as_bytes());
        let replace = PropMode::REPLACE;
        connection
            .change_property8(replace, requestor, property, self.names.List, list)?
            .check()?;
        let response_type = SELECTION_NOTIFY_EVENT;
        let given = SelectionNotifyEvent {
            response_type,
            sequence: 0,
            time,
            requestor,
            selection,
            target,
            property,
        };
        Ok(connection.send_event(false, requestor, EventMask::NO_EVENT, given)?.check()?)
    }
}
