#!/usr/bin/env python3
"""golden_docs.py - makes tests/docs/golden: small documents by the official libraries, each with the text that was put in, for tests/docs/test_docs.c.

Pinned in requirements-docs.txt: python-docx, openpyxl, python-pptx, reportlab; mail by Python's own email. Deterministic, no network:

    python tools/golden_docs.py

NAME.txt holds what hone is to give, written down by this script beside each call that puts a piece into the document, never by reading the
document: "title|author|date" in the first line, then for each part "=== kind|name|parent" and its text, then notes behind "*** ".
"""
import datetime
import email.message
import email.policy
import io
import os
import re
import zipfile

import docx
import docx.enum.text
import docx.oxml
import openpyxl
import openpyxl.styles
import pptx
import pptx.util
import reportlab.lib.pdfencrypt
import reportlab.pdfgen.canvas

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "docs", "golden")
WHEN = datetime.datetime(2026, 3, 14, 9, 26, 53)


def save(name, data, text=None):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)
    if text is not None:
        with open(os.path.join(HERE, name + ".txt"), "w", encoding="utf-8", newline="\n") as f:
            f.write(text)


def fixed_zip(data):
    """The same members with one fixed time, so that the files do not change from run to run."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as src, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as dst:
        for name in src.namelist():
            body = src.read(name)
            if name == "docProps/core.xml":  # openpyxl writes the time of saving
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>2026-03-14T09:26:53Z", body)
            dst.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def dump(head, parts, notes=()):
    text = "|".join(head) + "\n"
    for kind, name, parent, body in parts:
        text += "=== %s|%s|%d\n%s\n" % (kind, name, parent, body)
    return text + "".join("*** %s\n" % n for n in notes)


def make_docx():
    d = docx.Document()
    md = []
    d.core_properties.title, d.core_properties.author = "Pump manual", "Ada Lovelace"
    d.core_properties.created = d.core_properties.modified = WHEN
    d.add_heading("Pump manual", 0)
    md.append("# Pump manual")
    d.add_paragraph("Read this   first: na\u00efve caf\u00e9 \u65e5\u672c\u8a9e.")
    md.append("Read this first: na\u00efve caf\u00e9 \u65e5\u672c\u8a9e.")
    d.add_heading("Safety", 1)
    md.append("# Safety")
    p = d.add_paragraph("Wear ")
    p.add_run("gloves").bold = True
    p.add_run(" and goggles.\tAlways.")
    md.append("Wear gloves and goggles. Always.")
    for style, marker in (("List Bullet", "- "), ("List Number", "")):
        lines = []
        for i, item in enumerate(["Close the valve", "Open the tap"]):
            d.add_paragraph(item, style=style)
            lines.append((marker or "%d. " % (i + 1)) + item)
        md.append("\n".join(lines))
    # the two lists follow each other directly: one block of items
    numbers = md.pop()
    md[-1] += "\n" + numbers
    d.add_heading("Parts", 2)
    md.append("## Parts")
    t = d.add_table(rows=3, cols=3)
    cells = [["Part", "Size", "Price"], ["Seal | ring", "12 mm", "3.50"], ["", "7 mm", "1.20"]]
    for r, row in enumerate(cells):
        for c, text in enumerate(row):
            t.cell(r, c).text = text
    merged = d.add_table(rows=2, cols=3)
    merged.cell(0, 0).merge(merged.cell(0, 1)).text = "wide"
    merged.cell(0, 2).text = "c"
    for c in range(3):
        merged.cell(1, c).text = str(c)
    md.append("| Part | Size | Price |\n| --- | --- | --- |\n| Seal \\| ring | 12 mm | 3.50 |\n| | 7 mm | 1.20 |")
    md.append("| wide | | c |\n| --- | --- | --- |\n| 0 | 1 | 2 |")
    p = d.add_paragraph("Before")
    p.add_run().add_break(docx.enum.text.WD_BREAK.PAGE)
    md += ["Before", "\f"]
    p = d.add_paragraph("Line one")
    p.add_run().add_break()
    p.add_run("line two")
    md.append("Line one\nline two")
    p = d.add_paragraph("Kept ")
    deleted = docx.oxml.parse_xml('<w:del xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:id="1" w:author="x">'
                                  '<w:r><w:delText>gone</w:delText></w:r></w:del>')
    inserted = docx.oxml.parse_xml('<w:ins xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:id="2" w:author="x">'
                                   '<w:r><w:t>new</w:t></w:r></w:ins>')
    p._p.append(deleted)
    p._p.append(inserted)
    md.append("Kept new")
    d.sections[0].header.paragraphs[0].text = "a page's header, left out"
    out = io.BytesIO()
    d.save(out)
    save("manual.docx", fixed_zip(out.getvalue()), dump(("Pump manual", "Ada Lovelace", "2026-03-14T09:26:53Z"), [("docx", "", -1, "\n\n".join(md))]))
    return fixed_zip(out.getvalue()), "\n\n".join(md)


def make_xlsx():
    b = openpyxl.Workbook()
    b.properties.title, b.properties.creator = "Stock", "Grace Hopper"
    b.properties.created = b.properties.modified = WHEN
    s = b.active
    s.title = "Stock"
    s.append(["Item", "Count", "Price", "Share", "Since", "Seen", "Open"])
    s.append(["Bolt, \u00bd inch", 12, 0.1, 0.25, datetime.date(2024, 2, 29), datetime.datetime(2026, 1, 2, 3, 4, 5), True])
    s["D2"].number_format = "0.0%"
    s.append([None, 1e21, 0.1 + 0.2, None, datetime.date(1900, 1, 15), datetime.time(6, 30), False])
    s.append(["a|b\nc", -3, "=B2*C2", None, None, "007", None])
    s["XFD900"] = "far away"
    rows = ["| Item | Count | Price | Share | Since | Seen | Open | |", "| --- | --- | --- | --- | --- | --- | --- | --- |",
            "| Bolt, \u00bd inch | 12 | 0.1 | 25.0% | 2024-02-29 | 2026-01-02 03:04:05 | TRUE | |",
            "| | 1e+21 | 0.3 | | 1900-01-15 | 06:30:00 | FALSE | |",
            "| a\\|b c | -3 | =B2*C2 | | | 007 | | |", "| | | | | | | | far away |"]
    h = b.create_sheet("Hidden & more")
    h.sheet_state = "hidden"
    h["B2"] = "only"
    b.create_sheet("Empty")
    out = io.BytesIO()
    b.save(out)
    save("stock.xlsx", fixed_zip(out.getvalue()), dump(("Stock", "Grace Hopper", "2026-03-14T09:26:53Z"), [
        ("xlsx", "sheet Stock", -1, "\n".join(rows)), ("xlsx", "sheet Hidden & more", -1, "| only |\n| --- |"), ("xlsx", "sheet Empty", -1, "")]))


def make_pptx():
    p = pptx.Presentation()
    p.core_properties.title, p.core_properties.author = "", "Katherine Johnson"
    p.core_properties.created = p.core_properties.modified = WHEN
    s = p.slides.add_slide(p.slide_layouts[0])
    s.shapes.title.text, s.placeholders[1].text = "Orbits", "A short talk"
    one = "# Orbits\n\nA short talk"
    s = p.slides.add_slide(p.slide_layouts[1])
    s.shapes.title.text = "Steps"
    f = s.placeholders[1].text_frame
    f.text = "Measure"
    for text, level in (("twice", 1), ("Cut", 0)):
        para = f.add_paragraph()
        para.text, para.level = text, level
    s.notes_slide.notes_text_frame.text = "Speak slowly."
    two = "# Steps\n\n- Measure\n  - twice\n- Cut\n\nNotes:\n\nSpeak slowly."
    s = p.slides.add_slide(p.slide_layouts[5])
    s.shapes.title.text = "Numbers"
    t = s.shapes.add_table(2, 2, pptx.util.Inches(1), pptx.util.Inches(2), pptx.util.Inches(4), pptx.util.Inches(1)).table
    for r, row in enumerate([["Body", "km"], ["Moon", "384400"]]):
        for c, text in enumerate(row):
            t.cell(r, c).text = text
    box = s.shapes.add_textbox(pptx.util.Inches(1), pptx.util.Inches(5), pptx.util.Inches(4), pptx.util.Inches(1))
    box.text_frame.text = "Source: 1969"
    three = "# Numbers\n\n| Body | km |\n| --- | --- |\n| Moon | 384400 |\n\nSource: 1969"
    out = io.BytesIO()
    p.save(out)
    save("talk.pptx", fixed_zip(out.getvalue()), dump(("Orbits", "Katherine Johnson", "2026-03-14T09:26:53Z"), [
        ("pptx", "slide %d" % (i + 1), -1, text) for i, text in enumerate([one, two, three])]))


def make_pdf(pages, **options):
    out = io.BytesIO()
    c = reportlab.pdfgen.canvas.Canvas(out, invariant=1, pagesize=(400, 300), **options)
    c.setTitle("Two pages")
    c.setAuthor("Emmy Noether")
    for lines in pages:
        for i, line in enumerate(lines):
            c.drawString(40, 250 - 20 * i, line)
        if not lines:
            c.rect(50, 50, 200, 100, fill=1)
        c.showPage()
    c.save()
    return out.getvalue()


def make_pdfs():
    pages = [["First page, caf\u00e9.", "Second line."], [], ["Third page."]]
    save("pages.pdf", make_pdf(pages), dump(("Two pages", "Emmy Noether", "2000-01-01T00:00:00Z"), [
        ("pdf", "page %d" % (i + 1), -1, "\n".join(lines)) for i, lines in enumerate(pages)],
        ["no text on 1 of 3 pages (2); if they are scans, run OCR first"]))
    save("scan.pdf", make_pdf([[], []]))
    save("locked.pdf", make_pdf(pages, encrypt=reportlab.lib.pdfencrypt.StandardEncryption("secret", "owner", strength=40)))


def message(number, subject, refs=(), reply=None):
    m = email.message.EmailMessage(policy=email.policy.SMTP.clone(linesep="\n"))
    m["From"], m["To"], m["Subject"] = "J\u00f6rg <joerg@example.org>", "ann@example.org", subject
    m["Date"] = "Sat, 14 Mar 2026 09:26:53 +0100"
    m["Message-ID"] = "<%d@example.org>" % number
    if reply:
        m["In-Reply-To"] = reply
    if refs:
        m["References"] = " ".join(refs)
    return m


def head(subject):
    return "From: J\u00f6rg <joerg@example.org>\nTo: ann@example.org\nDate: 2026-03-14T09:26:53+01\nSubject: %s\n\n" % subject


def make_mail(manual, manual_text):
    m = message(1, "Gr\u00fc\u00dfe aus K\u00f6ln")
    m.set_content("Dear Ann,\n\nsee the manual. \u20ac 5.\n\n-- \nJ\u00f6rg\n")
    m.add_alternative("<html><body><p>not taken</p></body></html>", subtype="html")
    m.add_attachment(manual, maintype="application", subtype="vnd.openxmlformats-officedocument.wordprocessingml.document", filename="manual.docx")
    m.add_attachment(make_pdf([["Attached page."]]), maintype="application", subtype="pdf", filename="a.pdf")
    m.add_attachment(b"\x89PNG\r\n\x1a\n0000", maintype="image", subtype="png", filename="photo.png")
    m.add_attachment("plain notes\n", subtype="plain", filename="notes.txt")
    inner = message(7, "inner")
    inner.set_content("Inside.\n")
    m.add_attachment(inner)
    boundary = iter(["b%d" % i for i in range(9)])
    for part in m.walk():
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            part.set_boundary(next(boundary))
    save("letter.eml", m.as_bytes(), dump(("Gr\u00fc\u00dfe aus K\u00f6ln", "J\u00f6rg <joerg@example.org>", "2026-03-14T09:26:53+01"), [
        ("mail", "", -1, head("Gr\u00fc\u00dfe aus K\u00f6ln") + "Dear Ann,\n\nsee the manual. \u20ac 5.\n\n[[signature]]-- \nJ\u00f6rg[[end]]"),
        ("docx", "attachment manual.docx", 0, manual_text), ("pdf", "attachment a.pdf: page 1", 0, "Attached page."),
        ("text", "attachment notes.txt", 0, "plain notes\n"),
        ("mail", "attachment inner", 0, head("inner") + "Inside.")],
        ["attachment photo.png: not converted: this is a picture (PNG); run OCR first"]))

    box, want = b"", []
    texts = ["First.\nFrom here on.\n", "I agree.\n\nOn Sat, J\u00f6rg wrote:\n> First.\n>\n> From here on.\n\nYes.\n", "Me too.\n\n-----Original Message-----\nFrom: x\nold\n",
             "Another thread.\n", "Fine.\n\n-- \nme\n\nVon: Bob\nGesendet: Montag\nAn: Ann\n\nalt\n"]
    marked = ["First.\nFrom here on.", "I agree.\n\n[[quote]]On Sat, J\u00f6rg wrote:\n> First.\n>\n> From here on.\n[[end]]\nYes.",
              "Me too.\n\n[[quote]]-----Original Message-----\nFrom: x\nold[[end]]", "Another thread.",
              "Fine.\n\n[[signature]]-- \nme\n\n[[end]][[quote]]Von: Bob\nGesendet: Montag\nAn: Ann\n\nalt[[end]]"]
    replies = [((), None), ((), "<1@example.org>"), ((), "<2@example.org>"), ((), None), (("<1@example.org>", "<4@example.org>"), "<4@example.org>")]
    for i, text in enumerate(texts):
        refs, reply = replies[i]
        m = message(i + 1, "mbox %d" % i, refs, reply)
        m.set_content(text, cte="8bit" if i != 1 else "quoted-printable")
        body = b"\n".join((b">" if line.lstrip(b">").startswith(b"From ") else b"") + line for line in m.as_bytes().split(b"\n"))
        box += b"From joerg@example.org Sat Mar 14 09:26:53 2026\n" + body + b"\n"
        want.append(("mail", "message %d" % (i + 1), -1, head("mbox %d" % i) + marked[i]))
    save("box.mbox", box, dump(("", "", ""), want))

    html = email.message.EmailMessage(policy=email.policy.SMTP.clone(linesep="\n"))
    html["From"], html["Subject"], html["Message-ID"] = "a@example.org", "only html", "<9@example.org>"
    html.set_content("<html><body><p>Hello&nbsp;<b>world</b></p><blockquote><p>old text</p></blockquote></body></html>", subtype="html", charset="iso-8859-1")
    save("html.eml", html.as_bytes(), dump(("only html", "a@example.org", ""), [
        ("mail", "", -1, "From: a@example.org\nSubject: only html\n\nHello world\n\n[[quote]]> old text[[end]]")]))


def make_zip():
    """Members stored, deflated, in a folder and empty, for tests/formats/test_zip.c."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("folder/", (2026, 1, 1, 0, 0, 0)), b"")
        z.writestr(zipfile.ZipInfo("folder/Stored.xml", (2026, 1, 1, 0, 0, 0)), b"stored bytes", zipfile.ZIP_STORED)
        z.writestr(zipfile.ZipInfo("deflated.txt", (2026, 1, 1, 0, 0, 0)), b"deflated " * 1000, zipfile.ZIP_DEFLATED)
        z.writestr(zipfile.ZipInfo("\u00fcber.txt", (2026, 1, 1, 0, 0, 0)), "\u00fc".encode(), zipfile.ZIP_DEFLATED)
        z.writestr(zipfile.ZipInfo("empty", (2026, 1, 1, 0, 0, 0)), b"")
    with open(os.path.join(HERE, "..", "..", "formats", "golden", "members.zip"), "wb") as f:
        f.write(out.getvalue())


def make_html():
    page = """<!DOCTYPE html><html lang="de"><head><meta charset="iso-8859-1"><title>Die  Seite</title><meta name="author" content="Emmy N.">
<meta name="date" content="2026-03-14"><style>p { color: red }</style><script>var x = "<p>not text</p>";</script></head><body>
<nav><ul><li><a href="/">Home</a></li></ul></nav><div role="banner">Logo</div>
<main><h1>Gr\u00fc\u00dfe</h1><p>Ein <b>fetter</b> Text<br>mit   Umbruch &amp; &euro;.</p>
<ul><li>eins<ul><li>innen</li></ul></li><li>zwei</li></ul><ol start="3"><li>drei</li><li><p>vier</p></li></ol>
<h2>Tabelle</h2><table><tr><th>a</th><th colspan="2">b</th></tr><tr><td rowspan="2">1</td><td>2</td><td>3 | 4</td></tr><tr><td>5</td><td></td></tr></table>
<pre>code  here
  more</pre><blockquote><p>Zitat</p><p>weiter</p></blockquote><p hidden>versteckt</p><p>Ende <a href="x">Link</a></p><img src="x" alt="Bild"></main>
<footer>Impressum</footer></body></html>"""
    text = "\n\n".join(["# Gr\u00fc\u00dfe", "Ein fetter Text\nmit Umbruch & \u20ac.", "- eins\n  - innen\n- zwei\n3. drei\n4. vier", "## Tabelle",
                        "| a | b | |\n| --- | --- | --- |\n| 1 | 2 | 3 \\| 4 |\n| | 5 | |", "```\ncode  here\n  more\n```", "> Zitat\n>\n> weiter", "Ende Link",
                        "[picture: Bild]"])
    save("page.html", page.encode("latin-1"), dump(("Die Seite", "Emmy N.", "2026-03-14"), [("html", "", -1, text)]))


def make_text():
    save("note.md", "---\ntitle: \"A note\"\nauthor: Ann\ndate: 2026-03-14\ntags:\n  - x\n---\n\n# Head\r\n\r\nText \u00e9.\n".encode(),
         dump(("A note", "Ann", "2026-03-14"), [("markdown", "", -1, "# Head\n\nText \u00e9.\n")]))
    save("latin.txt", "Stra\u00dfe \u201equoted\u201c\r\n  kept   as it is\r\n".encode("cp1252"), dump(("", "", ""), [("text", "", -1, "Stra\u00dfe \u201equoted\u201c\n  kept   as it is\n")]))
    save("utf16.txt", "w\u00efde\n".encode("utf-16"), dump(("", "", ""), [("text", "", -1, "w\u00efde\n")]))
    save("data.xml", b'<?xml version="1.0"?><r a="b"><x>one &amp; two</x><y>three<z>four</z></y><![CDATA[<five>]]></r>',
         dump(("", "", ""), [("xml", "", -1, "one & two\n\nthree\n\nfour\n\n<five>")]))


os.makedirs(HERE, exist_ok=True)
manual, manual_text = make_docx()
make_xlsx()
make_pptx()
make_pdfs()
make_mail(manual, manual_text)
make_html()
make_text()
make_zip()
