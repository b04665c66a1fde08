//! Markup under construction. Whatever is not markup of ours is escaped: a file may be called anything.

use std::fmt::Write as _;

/// Names and values of the attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// Markup that is HTML and XML alike: every element is closed, every attribute has a value.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// An element, with what `inner` adds in it.
    pub(super) fn within(
        &mut self,
        tag: &str,
        attributes: Attributes,
        inner: impl FnOnce(&mut Self),
    ) {
        self.begin(tag, attributes);
        self.0.push('>');
        inner(self);
        writeln!(self.0, "</{tag}>").expect("a String takes every text");
    }

    /// An element with a text in it.
    pub(super) fn element(&mut self, tag: &str, attributes: Attributes, text: &str) {
        self.within(tag, attributes, |html| html.text(text));
    }

    /// An element with a text in it, and no attributes.
    pub(super) fn line(&mut self, tag: &str, text: &str) {
        self.element(tag, &[], text);
    }

    /// An element with nothing in it.
    pub(super) fn void(&mut self, tag: &str, attributes: Attributes) {
        self.begin(tag, attributes);
        self.0.push_str("/>");
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        escape(text, &mut self.0);
    }

    /// Markup as it is: only what the program itself brings along.
    pub(super) fn verbatim(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// A paragraph for each of `items`, as a list; nothing if there are none.
    pub(super) fn list<T: AsRef<str>>(&mut self, items: &[T]) {
        if items.is_empty() {
            return;
        }
        self.within("ul", &[], |html| {
            items.iter().for_each(|item| html.line("li", item.as_ref()));
        });
    }

    /// A table of two columns, whose first heads the rows.
    pub(super) fn pairs<T: AsRef<str>>(&mut self, rows: &[(T, String)]) {
        self.within("table", &[("class", "pairs")], |html| {
            for (name, value) in rows {
                html.within("tr", &[], |html| {
                    html.element("th", &[("scope", "row")], name.as_ref());
                    html.line("td", value);
                });
            }
        });
    }

    /// The whole of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn begin(&mut self, tag: &str, attributes: Attributes) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            write!(self.0, " {name}=\"").expect("a String takes every text");
            escape(value, &mut self.0);
            self.0.push('"');
        }
    }
}

/// Adds `text` to `out` so that nothing in it is taken for markup, controls anything, or turns the
/// direction of what is around it.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            // XML has no way to write them.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let mut html = Html::default();
        html.element("p", &[("title", "a\"b'c")], "<script>alert('x')</script> & co");
        assert_eq!(
            html.into_text(),
            "<p title=\"a&quot;b&#39;c\">&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co</p>\n"
        );
    }

    #[test]
    fn a_text_cannot_control_what_is_around_it() {
        let mut out = String::new();
        escape("a\u{1b}[2J\u{202e}b\nc\0\u{ffff}", &mut out);
        assert_eq!(out, "a\\u{1b}[2J\\u{202e}b c\\u{0}\u{fffd}");
    }

    #[test]
    fn elements_lie_in_one_another_and_are_closed() {
        let mut html = Html::default();
        html.within("ul", &[], |html| html.void("br", &[]));
        html.list::<&str>(&[]);
        assert_eq!(html.into_text(), "<ul><br/></ul>\n");
    }
}
