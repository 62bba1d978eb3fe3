"""Writes tests/golden/templates/*.jsonl: templates, values, and the text that jinja2 gives for them, set up by transformers itself
(transformers.utils.chat_template_utils), or null where it raises. Deterministic, no network, the same bytes each time.

    pip install -r tools/requirements.txt && python tools/golden_templates.py
"""
import copy
import datetime
import json
import os
import random

from transformers.utils import chat_template_utils as judge

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tests", "golden", "templates")
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12, 34, 56)


judge.datetime = Clock


def expected(name, template, data, trusted=None):
    row = {"name": name, "template": template, "data": data, "trusted": trusted or {}}
    try:
        row["text"] = judge._compile_jinja_template(template).render(**copy.deepcopy(data), **row["trusted"])  # a filter of jinja2 changes its input
        row["text"].encode()
    except (Exception, RecursionError) as why:  # noqa: BLE001  any failure of the judge is "it raises"
        row["text"], row["why"] = None, f"{type(why).__name__}: {why}"[:300]
    return row


# --- conversations ---------------------------------------------------------------------------------------------------------------------

def turn(role, content, **more):
    return {"role": role, "content": content, **more}


TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather <today> & \"now\"", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "The city's name"}, "unit": {"type": "string", "enum": ["C", "F"]},
                                     "days": {"type": ["integer", "null"], "default": 3}}, "required": ["city"]}}}
CALL = {"id": "call_1a2b3", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}}
CALL_TEXT = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Zürich\"}"}}


def talk(*messages, **more):
    return {"messages": list(messages), "tools": None, "documents": None, "add_generation_prompt": False, **more}


CONVERSATIONS = {
    "plain": talk(turn("user", "Hi!"), turn("assistant", "Hello.")),
    "prompt": talk(turn("user", "Hi!"), add_generation_prompt=True),
    "system": talk(turn("system", "You are kind.\n"), turn("user", " Hi! \n"), turn("assistant", "  Hello.\n\n"), turn("user", "Bye <|im_end|> </s>"),
                   turn("assistant", "Schönen Tag! 你好 🎉"), add_generation_prompt=False),
    "system prompt": talk(turn("system", "S"), turn("user", "Q"), add_generation_prompt=True),
    "two users": talk(turn("user", "A"), turn("user", "B"), add_generation_prompt=True),
    "assistant first": talk(turn("assistant", "A"), turn("user", "B")),
    "odd role": talk(turn("narrator", "A"), turn("user", "B")),
    "developer": talk(turn("developer", "D"), turn("user", "B"), add_generation_prompt=True),
    "empty": talk(),
    "thinking": talk(turn("user", "2+2?"), turn("assistant", "<think>\nfour\n</think>\n\n4"), turn("user", "3+3?"),
                     turn("assistant", "6", reasoning_content="six"), add_generation_prompt=False),
    "think on": talk(turn("user", "2+2?"), add_generation_prompt=True, enable_thinking=True, thinking=True),
    "think off": talk(turn("user", "2+2?"), add_generation_prompt=True, enable_thinking=False, thinking=False),
    "tools": talk(turn("user", "Weather?"), tools=[TOOL, TOOL], add_generation_prompt=True),
    "tools system": talk(turn("system", "S"), turn("user", "Weather?"), tools=[TOOL], add_generation_prompt=True),
    "tool call": talk(turn("user", "Weather?"), turn("assistant", "", tool_calls=[CALL]), turn("tool", "{\"t\": 21}", name="get_weather", tool_call_id="call_1a2b3"),
                      turn("assistant", "21 degrees"), tools=[TOOL]),
    "tool call text": talk(turn("user", "Weather?"), turn("assistant", None, tool_calls=[CALL_TEXT]), turn("tool", "21", name="get_weather", tool_call_id="abcdefghi"),
                           tools=[TOOL], add_generation_prompt=True),
    "two calls": talk(turn("system", "S"), turn("user", "Weather?"), turn("assistant", "Let me see.", tool_calls=[CALL, CALL], reasoning_content="hm"),
                      turn("tool", "1"), turn("tool", "2"), turn("assistant", "done"), turn("user", "thanks"), tools=[TOOL], add_generation_prompt=True),
    "parts": talk(turn("user", [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]), turn("assistant", [{"type": "text", "text": "A cat."}])),
    "image": talk(turn("user", [{"type": "image"}, {"type": "text", "text": "What?"}]), add_generation_prompt=True),
    "documents": talk(turn("user", "Q"), documents=[{"title": "T", "text": "Body"}], add_generation_prompt=True),
    "null system": talk(turn("system", None), turn("user", "Q")),
    "numbers": talk(turn("user", "x"), turn("assistant", "y"), date_string="01 Jan 2025", builtin_tools=["brave_search"], custom_tools=None, reasoning_effort="high",
                    tools_in_user_message=False, add_generation_prompt=True),
}

# --- constructs ------------------------------------------------------------------------------------------------------------------------

VALUES = {
    "a": 7, "b": -3, "f": 2.5, "g": 1e20, "z": 0, "t": True, "n": None, "s": "Hello World", "u": "Größe 你好 🎉 ß", "e": "", "w": "  pad\t\n ", "q": "it's \"q\" \\ \n",
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "mix": [1, "two", None, True, 2.0, [4, "x"], {"k": "v"}], "d": {"x": 1, "y": "two", "items": 5, "B": None},
    "rows": [{"n": "z", "v": 3, "o": {"i": 1}}, {"n": "Y", "v": 1, "o": {"i": 2}}, {"n": "x", "v": 2}], "html": "<a & 'b'>", "lines": "one\n\n two\r\nthree\n",
    "csv": "a,b,,c", "i64": 9007199254740993,
}


def constructs():
    def every(patterns, *lists):
        import itertools
        for pattern in patterns:
            for values in itertools.product(*lists):
                yield pattern.format(*values)

    names = ["a", "f", "t", "n", "s", "e", "u", "l", "le", "mix", "d", "missing", "(1, 2)", "()", "range(3)"]
    yield from every(["{{{{ {} }}}}", "{{{{ [{}] }}}}", "{{{{ {}|string|length }}}}", "{{{{ {}|tojson }}}}", "{{{{ 'y' if {} else 'n' }}}}", "{{{{ not {} }}}}"], names)
    tests = ["defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping", "sequence", "iterable", "callable"]
    for test in tests:
        yield "".join("{{ (%s) is %s }} " % (name, test) for name in names)
        yield "{%% if a is not %s %%}n{%% else %%}y{%% endif %%}" % test
    for op in ["+", "-", "*", "/", "//", "%", "**"]:
        powers = op == "**"  # no complex numbers, and jinja2 reads -2 ** name as -(2 ** name) but -2 ** 2 as (-2) ** 2
        yield from every(["{{{{ {0} " + op + " {1} }}}}"], ["a", "f", "t", "s", "l", "7.5"] + ([] if powers else ["b", "-2"]), ["a", "b", "f", "3", "2", "z", "ls", "n"])
    for op in ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]:
        yield from every(["{{{{ {0} " + op + " {1} }}}}"], ["a", "f", "s", "n", "t", "l", "'a'", "missing"], ["7", "2.5", "s", "l", "ls", "d", "missing", "'Hello'"])
    for filter_ in ["abs", "capitalize", "count", "first", "float", "int", "items|list", "join", "last", "length", "list", "lower", "max", "min", "reverse|list", "round",
                    "safe", "sort", "string", "sum", "title", "trim", "unique|list", "upper", "wordcount", "escape", "dictsort", "tojson(indent=2)", "default('D')",
                    "default('D', true)", "batch(2)|list", "slice(2)|list", "select|list", "reject|list", "indent", "center(9)", "truncate(5)", "map('upper')|list"]:
        yield from every(["{{{{ {0}|" + filter_ + " }}}}"], ["a", "f", "s", "u", "w", "l", "ls", "le", "d", "missing", "n", "t"])
    methods = ["upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip()", "rstrip()", "split()", "splitlines()", "swapcase()", "split(' ')", "split('l')",
               "split('l', 1)", "rsplit('l', 1)", "split(None, 1)", "rsplit(None, 1)", "split(maxsplit=1)", "strip('Hd ')", "startswith('He')", "endswith(('x', 'd'))",
               "find('o')", "rfind('o')", "find('zz')", "index('o')", "index('zz')", "count('l')", "replace('l', 'LL')", "replace('l', '', 1)", "replace('', '-')",
               "partition(' ')", "rpartition('o')", "partition('zz')", "isdigit()", "isalpha()", "isspace()", "isalnum()", "islower()", "isupper()", "join(ls)",
               "ljust(14)|length", "rjust(14, '.')", "center(14, '*')", "zfill(14)", "removeprefix('He')", "removesuffix('ld')", "format()",
               "items()", "keys()|list", "values()|list", "get('x')", "get('nope', 'D')", "append(1)", "pop()", "update({})", "copy()", "index(1)", "__class__", "_x",
               "nope", "nope()", "nope.more"]
    for method in methods:
        yield from every(["{{{{ {0}." + method.replace("{", "{{").replace("}", "}}") + " }}}}"], ["s", "u", "e", "w", "l", "d", "csv", "lines"])
    slices = [":", "::-1", "1:", ":-1", "-3:", "1:4", "4:1", "::2", "5:0:-2", "-1:-4:-1", "100:", ":100", "-100:2", "0", "-1", "99", "'x'", "1:2:0", "n:"]
    yield from every(["{{{{ {0}[{1}] }}}}"], ["s", "u", "l", "(1,2,3)", "range(6)", "d", "n"], slices)
    for form in ["%s", "%5s|", "%-5s|", "%d", "%05d", "%+d", "%x", "%.2f", "%8.3f", "%e", "%g", "%r", "%%", "%.1s", "%i", "%"]:
        yield from every(["{{{{ '" + form + "' % {} }}}}"], ["a", "b", "f", "s", "t", "l", "()", "(1, 2)"])
    for form in ["{}", "{0}{0}", "{:>8}|", "{:<8}|", "{:^8}|", "{:*^8}", "{:05}", "{:,}", "{:.2f}", "{:d}", "{!r}", "{x}", "{0[x]}", "{", "}", "{{}}", "{:.1%}", "{:x}"]:
        yield from every(["{{{{ '" + form.replace("{", "{{").replace("}", "}}") + "'.format({}) }}}}"], ["a", "b", "f", "s", "d", "t", "x=1"])
    yield from [
        "{{ '%s-%s' % (s, a) }}", "{{ '%(x)s' % d }}", "{{ '%s %s'|format(a, s) }}", "{{ '%(k)s'|format(k=1) }}", "{{ '%s' % [1] }}", "{{ '%s' % d }}",
        # scopes
        "{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(d, z=1) %}{{ ns.x }}{{ ns.y }}{{ ns.z }}{{ ns.nope }}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set d.x = 1 %}", "{% set ns = namespace() %}{{ ns.x.y }}",
        "{% if t %}{% set x = 5 %}{% endif %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x, y = [1, 2, 3] %}", "{% set (x, y) = (y, x) %}{{ x is defined }}",
        "{% set x %}a{{ a }}b{% endset %}{{ x }}{{ x|length }}", "{% set x | upper | trim %} abc {% endset %}[{{ x }}]", "{% with x = 1, y = 2 %}{{ x + y }}{% endwith %}{{ x }}",
        "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|indent(2, true) %}aaa\naaa{% endfilter %}", "{% set x = 1 %}{% filter trim %}{% set x = 2 %}{% endfilter %}{{ x }}",
        # names that a body hides
        "{% set x %}{{ s }}{% endset %}{{ x }}{% set s = 1 %}", "{{ s }}{% set x %}{{ s }}{% endset %}{{ x }}{% set s = 1 %}", "{% macro m() %}{{ s }}{% endmacro %}{{ m() }}{% set s = 1 %}{{ m() }}",
        "{% macro m() %}{{ s }}{% endmacro %}{{ m() }}{% if t %}{% set s = 1 %}{% endif %}{{ m() }}", "{% macro m() %}{{ s }}{% endmacro %}{{ m() }}{% set s = s %}{{ m() }}",
        "{% for i in l %}{% set x %}{{ s }}{% endset %}{{ x }}{% set s = i %}{% endfor %}{{ s }}", "{{ s }}{% for i in l %}{% set x %}{{ s }}{% endset %}{{ x }}{% set s = i %}{% endfor %}",
        "{% set x %}{{ s }}{% set s = 2 %}{{ s }}{% endset %}{{ x }}{{ s }}", "{% set x %}{% set s = 2 %}{{ s }}{% endset %}{{ x }}{{ s }}{% set s = 3 %}{{ s }}",
        "{% for s in l %}{{ s }}{% endfor %}{{ s }}", "{% with s = 1 %}{{ s }}{% endwith %}{{ s }}{% with y = s %}{{ y }}{% endwith %}{% set s = 2 %}",
        "{% filter upper %}{{ s }}{% endfilter %}{% set s = 'q' %}", "{% filter replace('a', s) %}xay{% endfilter %}{% set s = 'q' %}{{ s }}",
        "{% for i in range(2) %}{{ range is defined }}{% endfor %}{% set range = 1 %}", "{% for i in l %}{{ s }}{% endfor %}{% macro s() %}M{% endmacro %}",
        "{% for i in l %}{{ ns is defined }}{% endfor %}{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = i %}{% endfor %}{{ ns.a }}",
        "{% macro m(x=s) %}{{ x }}{% set s = 4 %}{{ s }}{% endmacro %}{{ m() }}{{ s }}", "{% macro m(x) %}{{ caller() }}{% endmacro %}{% call m(1) %}{{ s }}{% endcall %}{% set s = 1 %}",
        "{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(v) m() %}{% set q %}{{ s }}{{ v }}{% endset %}{{ q }}{% set s = 1 %}{% endcall %}{{ s }}",
        "{% for i in le %}{% else %}{% set q %}{{ s }}{% endset %}{{ q }}{% set s = 2 %}{{ s }}{% endfor %}", "{% for i in l if s %}{{ i }}{% endfor %}{% set s = 1 %}",
        "{% set q %}{{ d }}{{ s }}{% endset %}{{ q }}{% set d, s = 1, 2 %}{{ d }}{{ s }}", "{% if t %}{% set s = 1 %}{% else %}{% set s = 2 %}{% endif %}{% macro m() %}{{ s }}{% endmacro %}{{ m() }}",
        "{% if z %}{% set s = 1 %}{% elif z %}{% set s = 2 %}{% else %}{% for i in [1] %}{{ s }}{% endfor %}{% set s = 3 %}{% endif %}{{ s }}",
        "{% for i in [1] %}{{ s }}{% endfor %}{% if z %}{% set s = 1 %}{% elif z %}{% set s = 2 %}{% else %}{% set s = 3 %}{% endif %}{{ s }}",
        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}later{% endmacro %}{{ f() }}", "{% macro f() %}{{ g() }}{% endmacro %}{{ f() }}{% macro g() %}later{% endmacro %}",
        "{% generation %}{{ s }}{% endgeneration %}{% set s = 1 %}", "{% generation %}{% set q %}{{ s }}{% endset %}{{ q }}{% set s = 1 %}{% endgeneration %}{{ s }}", "{% set s = s %}{{ s }}",
        "{% set x %}{{ s is defined }}{{ s|default('D') }}{% endset %}{{ x }}{% set s %}b{% endset %}{{ s }}", "{% set x %}{{ s.y.z }}{% endset %}{% set s = 1 %}",
        "{% set a = 1 %}{% for i in l %}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}",
        "{% for x in [[1, [2]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ s }}{% endif %}{% endfor %}{% set s = 1 %}",
        "{% macro m() %}{% set q %}{{ s }}{% endset %}{{ q }}{% set s = 2 %}{{ s }}{% endmacro %}{{ m() }}{{ m() }}{{ s }}",
        "{% if z %}{% macro m() %}{% endmacro %}{% endif %}{{ m is defined }}{{ f }}{% if t %}{% macro f() %}F{% endmacro %}{% endif %}{{ f() }}",
        # loops
        "{% for i in l %}{{ i }}{% else %}none{% endfor %}", "{% for i in le %}{{ i }}{% else %}none{% endfor %}", "{% for i in missing %}x{% else %}none{% endfor %}", "{% for i in n %}{% endfor %}",
        "{% for c in u %}[{{ c }}]{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }},{% endfor %}",
        "{% for r in rows %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
        "{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.previtem is defined }}{% endfor %}", "{% for i in ls %}{{ loop.cycle('x', 'y') }}{{ loop.changed(i|lower) }}{% endfor %}",
        "{% for i in range(10) if i is odd %}{{ loop.index }}:{{ i }} {% endfor %}", "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "{% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{% if j %}{% break %}{% endif %}{% endfor %}{{ loop.index }};{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
        "{% for x in [[1, [2, [3]]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}", "{{ loop }}", "{% for i in l %}{% endfor %}{{ i }}",
        "{% for i in l %}{% set ns = namespace(v=i) %}{{ ns.v }}{% endfor %}{{ ns is defined }}", "{% for i in l %}{% if loop.index0 > 0 %}{{ l[loop.index0 - 1] }}{% endif %}{% endfor %}",
        "{% for a in 5 %}{% endfor %}", "{% for a, b in l %}{% endfor %}", "{% for i in l | sort(reverse=true) %}{{ i }}{% endfor %}", "{% for i in (1, 2), 3 %}{{ i }}{% endfor %}",
        # macros
        "{% macro m(x, y=2, z=x) %}{{ x }}{{ y }}{{ z }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(y=5, x=4) }} {{ m() }}", "{% macro m() %}x{% endmacro %}{{ m(1) }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(y=1) }}",
        "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}later{% endmacro %}{{ f() }}",
        "{% macro m(x) %}[{{ caller(x) }}]{% endmacro %}{% call(v) m(3) %}<{{ v }}>{% endcall %}", "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}{% call m() %}x{{ s }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{% set x = 9 %}{{ x }}{% endmacro %}{{ m(1) }}{{ x }}", "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}", "{% macro m(a, b) %}{{ a }}{{ b is undefined }}{% endmacro %}{{ m(1) }}",
        "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m() %}\n  x\n{% endmacro %}[{{ m() }}][{{ m()|trim }}]", "{{ m() }}{% macro m() %}{% endmacro %}",
        "{% macro m(x='d') %}{{ x or 'none' }}{% endmacro %}{{ m('') }}{{ m(none) }}", "{% macro m(x, y) -%} {{ x ~ y }} {%- endmacro %}{{ m('a', 'b') }}", "{{ range is callable }}{{ m is defined }}",
        # white space
        "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}  \n  b\n  {% endif %}\n  c", "a \n {%- if t -%} \n b \n {%- endif -%} \n c ", "a\n  {%+ if t %}\nb{% endif +%}\nc", "a {{- s -}} b", "a\n {{ s }}\n b",
        "x{# c #}y\n  {# c #}\nz", "x {#- c -#} y", "a\n\n", "a\n\n\n", "\n\na", "a\r\nb\r\n", "a\rb\r", "{% raw %}{{ x }}{% if %}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "  {% raw %}\n x {% endraw %}\ny", "{{ '{{' }}{{ '%}' }}", "{{ {'a': {'b': 1}} }}",
        "{% if t -%}\n  x\n{%- endif %}\n", "{%- for i in l -%}\n {{ i }}\n{%- endfor -%}\n", "  {%- set x = 1 -%}  \n{{ x }}", "\t{% if t %}x{% endif %}\t\n", "a{% if t %} {% endif %}b", "{{ s -}}\n\n x", "\u00a0{%- if t %}x{% endif %}",
        # literals and names
        "{{ 'a' 'b' }}", "{{ \"x\\n\\t\\\\\\'\\\"\\x41\\u00e4\\U0001F389\\101\\q\" }}", "{{ 1_000 + 0x1F + 0o17 + 0b11 }}", "{{ 1.5e3 }} {{ 1e-7 }} {{ 1e16 }} {{ 123456789012345680.0 }} {{ 0.1 + 0.2 }} {{ 1e100 }} {{ -0.0 }}", "{{ 007 }}",
        "{{ True }} {{ true }} {{ none }} {{ None }} {{ false }}", "{{ [] }} {{ {} }} {{ () }} {{ (1,) }} {{ [1,] }} {{ {'a': 1,} }}", "{{ {1: 'a', 'b': [2], none: true, 1.5: 0} }}", "{{ {'a': 1, 'a': 2} }}", "{{ {[1]: 2} }}", "{{ q }} {{ [q] }}",
        "{{ [\"'\"] }} {{ ['\"'] }} {{ ['\"\\''] }} {{ ['\\t\\x00\\x7f\\u200b'] }}", "{{ rows[0].n }}{{ rows[0]['o']['i'] }}{{ rows.0.n }}{{ rows[-1].o }}", "{{ rows[5].n }}", "{{ d.items }}", "{{ d['items'] }}", "{{ d.x }}{{ d['nope'] }}{{ d.nope is defined }}", "{{ d.get.x }}",
        # operators
        "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 == true }}", "{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 ** -1 }}", "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}", "{{ 'a' ~ 1 ~ none ~ 2.0 ~ [1] }}", "{{ 1 + 2 ~ 3 * 4 }}",
        "{{ a and b }} {{ z or s }} {{ z and missing.x }} {{ not z and t }}", "{{ 'x' if z }}|{{ 'x' if z else 'y' if e else 'w' }}", "{{ (1 if t else 2) + 1 }}", "{{ 'lo' in s and 'x' not in s }}", "{{ 1 in d }} {{ 'x' in d }} {{ 3 in l }} {{ 2 in (1, 2) }} {{ 'b' in d.keys() }}", "{{ 1 in 'abc' }}", "{{ 1 in 5 }}",
        "{{ [1] + [2] }} {{ (1,) + (2,) }} {{ [1] * 2 }} {{ 'ab' * 2 }} {{ 'ab' * -1 }} {{ 2 * 'ab' }}", "{{ [1] + (2,) }}", "{{ i64 + 0 }} {{ i64 / 1 }} {{ g }}", "{{ true / i64 }} {{ i64 / 3 }} {{ -i64 / 7 }} {{ 9223372036854775807 / 3 }} {{ 0 / -5 }} {{ 1 / 3 }} {{ -7 / 2 }} {{ 9007199254740995 / 9007199254740993 }}", "{{ true + 1 }} {{ true == 1 }} {{ 'a' == 1 }} {{ [1, 2] == [1, 2] }} {{ d == d }} {{ (1, 2) == [1, 2] }}", "{{ - a }} {{ + a }} {{ -f }} {{ -s }}",
        "{{ a is eq 7 }} {{ a is lt 8 }} {{ a is divisibleby 7 }} {{ a is odd }} {{ a is even }} {{ a is in [7] }} {{ a is sameas 7 }} {{ a is ge(7) }} {{ a is not gt 7 }}", "{{ s is upper }} {{ 'ABC' is upper }} {{ 'abc' is lower }}", "{{ -1|abs }} {{ (-1)|abs }} {{ a is number and f is float }}",
        "{{ missing }}|{{ missing|default('x') }}|{{ missing is defined }}|{{ missing|length }}|{{ missing|list }}|{{ missing == missing }}", "{{ missing + 1 }}", "{{ missing.x }}", "{{ missing['x'] }}", "{{ missing() }}", "{{ missing ~ 'x' }}", "{{ missing < 1 }}", "{{ -missing }}", "{{ [missing] }}", "{{ n.x is defined }}", "{{ n.x.y }}",
        # filters in detail
        "{{ d|tojson }} {{ mix|tojson }} {{ html|tojson }} {{ u|tojson }} {{ q|tojson }}", "{{ mix|tojson(indent=4) }}", "{{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ u|tojson(ensure_ascii=true) }}", "{{ {}|tojson(indent=2) }}{{ []|tojson(indent=2) }}", "{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{{ g|tojson }} {{ 1e-7|tojson }} {{ 2.0|tojson }}", "{{ missing|tojson }}", "{{ d|tojson(indent='..') }}", "{{ rows|map('tojson')|join('; ') }}",
        "{{ rows|map(attribute='n')|join(',') }} {{ rows|map(attribute='o.i')|list }} {{ rows|map(attribute='o.i', default=0)|list }}", "{{ rows|selectattr('v', 'gt', 1)|map(attribute='n')|list }} {{ rows|rejectattr('v', 'equalto', 3)|list|length }} {{ rows|selectattr('o')|list|length }} {{ rows|selectattr('o', 'defined')|list|length }}", "{{ l|select('odd')|list }} {{ l|reject('odd')|list }} {{ l|select('in', [1, 2])|list }} {{ ls|select('equalto', 'A')|list }}", "{{ ls|map('upper')|list }} {{ ls|map('replace', 'a', 'b')|list }} {{ ls|map('default', 'x')|list }}", "{{ l|map('nofilter')|list }}", "{{ l|select('notest')|list }}", "{{ l|map }}",
        "{{ ls|sort }} {{ ls|sort(case_sensitive=true) }} {{ ls|sort(reverse=true) }} {{ rows|sort(attribute='v')|map(attribute='n')|list }} {{ rows|sort(attribute='n,v')|map(attribute='n')|list }}", "{{ mix|sort }}", "{{ d|dictsort }} {{ d|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ {'b': 1, 'a': 2}|dictsort(reverse=true) }}", "{{ ls|unique|list }} {{ [1, 1, 2]|unique|list }} {{ ls|min }} {{ ls|max }} {{ le|min }} {{ rows|max(attribute='v') }}", "{{ l|sum }} {{ rows|sum(attribute='v') }} {{ l|sum(start=10) }} {{ ls|sum }}", "{{ rows|groupby('v')|list|length }} {% for k, g in rows|groupby('n') %}{{ k }}{{ g|length }}{% endfor %}",
        "{{ l|join(', ') }} {{ mix|join('-') }} {{ rows|join(',', attribute='n') }} {{ s|join('.') }}", "{{ 42.55|round }} {{ 42.55|round(1, 'floor') }} {{ 42.55|round(1) }} {{ 2.5|round }} {{ 3.5|round }} {{ 7|round }} {{ 1234|round(-2) }} {{ -2.5|round(0, 'ceil') }} {{ 2.675|round(2) }}", "{{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ '0x1f'|int(base=16) }} {{ ' 7 '|int }} {{ 4.9|int }} {{ '-3'|int }} {{ none|int }} {{ '1_0'|int }}", "{{ '4.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ 'inf'|float }} {{ '1e3'|float }}",
        "{{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent('> ', blank=true) }}", "{{ s|replace('o', '0') }} {{ s|replace('o', '0', 1) }} {{ s|replace('', '.') }} {{ 5|replace(5, 6) }}", "{{ 'hello wORLD-foo (bar) a.b'|title }} {{ 'hello wORLD'|capitalize }} {{ u|upper }} {{ u|lower }} {{ u|title }}", "{{ w|trim }}|{{ 'xxaxx'|trim('x') }}|{{ '\u3000x\u00a0'|trim }}|", "{{ html|e }} {{ html|escape|e }} {{ html|safe }} {{ (html|safe) + '<' }} {{ html|e|length }} {{ html|forceescape }}", "{{ [html|safe, html|e] }} {{ html|safe|list }} {{ (html|safe).split(' ') }} {{ [(html|safe)[1:3], (html|safe)|first, html|safe|trim] }}", "{{ 'a b c d'|truncate(5) }} {{ 'aaaaaaaaaaaaaa bbb'|truncate(9) }} {{ 'aaaaaaaaaaaaaa bbb'|truncate(9, true) }} {{ 'aaaaaaaaaaaaaa bbb'|truncate(9, false, '!', 0) }}", "{{ u|list }} {{ u|length }} {{ u|first }} {{ u|last }} {{ u|reverse }} {{ u[::-1] }} {{ u[6:8] }}",
        "{{ l|first }} {{ l|last }} {{ le|first }} {{ le|last }} {{ d|first }} {{ l|reverse|first }} {{ l|map('string')|first }}", "{{ l|map('string')|last }}", "{{ l|map('string')|length }}", "{{ l|map('string') is iterable }} {{ l|map('string') is sequence }} {{ l|select('odd') is string }}", "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% if le|select('odd') %}yes{% endif %}", "{{ (l|map('abs'))[0] }}", "{{ 'abc'|attr('upper') }}", "{{ d|attr('x') }}", "{{ l|batch(2, 'x')|list }} {{ l|slice(2, 'x')|list }} {{ l|batch(2)|map('join')|list }}", "{{ 1|nofilter }}", "{{ 1 is notest }}",
        # texts marked as HTML, and whole parts of large reals
        "{{ [(html|e).upper()] }}", "{{ [(html|e).lower()] }}", "{{ [(html|e).title()] }}", "{{ [(html|e).capitalize()] }}", "{{ [(html|e).swapcase()] }}", "{{ [(html|e).strip()] }}",
        "{{ [(html|e).split(' ')] }}", "{{ [(html|e).splitlines()] }}", "{{ [(html|e).partition(' ')] }}", "{{ [(html|e).rpartition('z')] }}", "{{ [(html|e).join(['<',1])] }}",
        "{{ [(html|e).join(ls)] }}", "{{ [(html|e).replace('l','<')] }}", "{{ [(html|e).ljust(40)] }}", "{{ [(html|e).rjust(40,'.')] }}", "{{ [(html|e).center(40)] }}", "{{ [(html|e).zfill(40)] }}",
        "{{ [(html|e).removeprefix('&')] }}", "{{ [(html|e).format('<')] }}", "{{ [(html|e)|lower] }}", "{{ [(html|e)|title] }}", "{{ [(html|e)|capitalize] }}", "{{ [(html|e)|trim] }}",
        "{{ [(html|e)|replace('l','<')] }}", "{{ [(html|e)|indent(2,true)] }}", "{{ [(html|e)|truncate(4)] }}", "{{ [(html|e)|center(30)] }}", "{{ [(html|e)|list] }}", "{{ [(html|e)|first] }}",
        "{{ [(html|e)|last] }}", "{{ [(html|e)|reverse] }}", "{{ [(html|e)|join('<')] }}", "{{ [(html|e)|sort] }}", "{{ [(html|e) * 2] }}", "{{ [2 * (html|e)] }}", "{{ [(html|e) ~ '<'] }}",
        "{{ [(html|e)[1:3]] }}", "{{ [(html|e)[::-1]] }}", "{{ [(html|e)[0]] }}", "{{ [(html|e) % ()] }}", "{{ ['%s' % (html|e)] }}", "{{ ['{}'.format((html|e))] }}", "{{ [('%s %d'|e) % ('<',3)] }}",
        "{{ [('%s'|e)|format('<')] }}", "{{ [('{} {!r}'|e).format('<', '>')] }}", "{{ [('%(a)s'|e) % {'a':'<'}] }}", "{{ [('%r'|e) % '<'] }}", "{{ [('%s'|e) % [1,'<']] }}",
        "{{ [('%5s|%.1s'|e) % ('<', '<')] }}", "{{ [missing|e|lower] }}",
        "{{ '%d' % g }} {{ '%i' % -1.5e300 }} {{ '%30d' % g }} {{ '%030d' % g }} {{ '%+.25d' % g }} {{ '% d' % 9.3e18 }} {{ '%-30d|' % g }} {{ '%.100d' % a }} {{ '%d' % -0.5 }} {{ '%f' % 1e305 }}",
        "{{ '%d' % ('inf'|float) }}", "{{ '%x' % g }}",
        # functions
        "{{ range(5)|list }} {{ range(1, 5)|list }} {{ range(5, 1, -2)|list }} {{ range(3) }} {{ range(3)[1] }} {{ range(0)|list }}", "{{ range(5, 0, 0) }}", "{{ range('a') }}", "{{ range(100001) }}", "{{ dict(a=1, b=[2]) }} {{ dict({'x': 1}, y=2) }} {{ dict([('a', 1)]) }} {{ dict() }}", "{{ raise_exception('no') }}", "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j') }}", "{% if not t %}{{ raise_exception('no') }}{% endif %}ok", "{{ namespace(a=1).a }}", "{{ 5() }}", "{{ s() }}", "{{ raise_exception(messages[0]) }}",
        # generation and statements
        "{% generation %}x{{ s }}{% endgeneration %}", "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}", "{%- generation -%}  a  {%- endgeneration -%}\n", "{% print s, a %}", "{% if t: %}x{% endif %}", "{% if z %}1{% elif f %}2{% elif a %}3{% else %}4{% endif %}", "{% if z %}1{% elif z %}2{% else %}4{% endif %}", "{% if z %}1{% endif %}", "{% if a, b %}x{% endif %}",
        # what is wrong
        "{% if %}x{% endif %}", "{% if t %}", "{% endif %}", "{% for i l %}{% endfor %}", "{{ }}", "{{ a b }}", "{{ a. }}", "{{ a[ }}", "{{ (a }}", "{{ a) }}", "{{ 'a }}", "{# x", "{% raw %}x", "{% nope %}", "{% set 1 = 2 %}", "{% set a.b.c = 2 %}", "{% else %}", "{% macro %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{{ a ! b }}", "{{ a is }}", "{{ a is odd is even }}", "{{ a | }}", "{% for loop in l %}{% endfor %}", "{% break %}", "{{ $ }}", "{{ a ? b }}", "{%- if t -%", "{{ a", "{% set %}{% endset %}", "{{ x = 1 }}", "{% call 5 %}{% endcall %}",
    ]

# --- ids and masks ---------------------------------------------------------------------------------------------------------------------

# "@<" and "@>" become {% generation %} blocks for the judge's mask, nothing for the template that hone is given (and blocks, in a second row).
CHAT_TEMPLATES = {
    "turns": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' %}@<{{ m.content + '<|im_end|>' }}@>{% else %}{{ m.content + '<|im_end|>' }}"
             "{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "begin": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content|trim + ' [/INST]' }}{% elif m.role == 'assistant' %}@<{{ ' ' + m.content|trim + eos_token }}@>"
             "{% else %}{{ m.content + '\\n\\n' }}{% endif %}{% endfor %}",
    "history": "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
               "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' }}{% if m.role == 'assistant' %}@<{% if m.reasoning_content and loop.index0 > ns.last %}"
               "{{ '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n\\n' }}{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ '<tool>' ~ (c.function|tojson) }}{% endfor %}{{ '<|im_end|>' }}@>"
               "{% else %}{{ m.content ~ '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "rewritten": "{{ 'Turns: ' ~ messages|length ~ '\\n' }}{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' }}{% if m.role == 'assistant' %}@<{{ m.content ~ '<|im_end|>' }}@>"
                 "{% else %}{{ m.content ~ '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}
CHATS = {
    "one": {"messages": [turn("user", "Tell me a story."), turn("assistant", "Once upon a time there was Lily.")]},
    "many": {"messages": [turn("system", "Be kind."), turn("user", " Hi!\n"), turn("assistant", "Hello, world"), turn("user", "And  now?"), turn("assistant", "Größe 你好 🎉\n\nend")]},
    "prompt": {"messages": [turn("user", "Hi")], "add_generation_prompt": True},
    "reasoning": {"messages": [turn("user", "2+2?"), turn("assistant", "4", reasoning_content="two and two"), turn("user", "3+3?"), turn("assistant", "6", reasoning_content="three\nthree")]},
    "call": {"messages": [turn("user", "Weather?"), turn("assistant", "Let me see. ", tool_calls=[CALL]), turn("tool", "21"), turn("assistant", "It is 21.")], "tools": [TOOL]},
    "same words": {"messages": [turn("user", "A"), turn("assistant", "A"), turn("user", "assistant\nA"), turn("assistant", "assistant\nA")]},
}


def chats():
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast
    inner = Tokenizer.from_file(os.path.join(HERE, "..", "tests", "golden", "tokenizer", "byte_level.json"))
    tok = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>")
    for name, template in CHAT_TEMPLATES.items():
        blocks = template.replace("@<", "{% generation %}").replace("@>", "{% endgeneration %}")
        plain = template.replace("@<", "").replace("@>", "")
        for title, chat in CHATS.items():
            if name == "begin" and chat.get("add_generation_prompt"):
                continue
            done = tok.apply_chat_template(copy.deepcopy(chat["messages"]), tools=chat.get("tools"), add_generation_prompt=chat.get("add_generation_prompt", False),
                                           chat_template=blocks, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
            for kind, source in (("found", plain), ("blocks", blocks)):
                yield {"name": f"{name}, {title}, {kind}", "template": source, "data": chat, "ids": done["input_ids"], "mask": done["assistant_masks"]}



def random_row(rng, number):
    names = list(VALUES) + ["missing"]

    def atom():
        return rng.choice([rng.choice(names), rng.choice(names), str(rng.randint(-9, 99)), repr(rng.choice(["", "a", "Hello", "x y", "é", ","])), "true", "none",
                           "[%s, %s]" % (rng.choice(names), rng.randint(0, 3)), "{'k': %s}" % rng.choice(names), "(1, %s)" % rng.choice(names), "%.2f" % rng.uniform(-3, 30)])

    def expr(depth):
        if depth <= 0:
            return atom()
        kind = rng.randrange(11)
        if kind < 3:
            return "(%s %s %s)" % (expr(depth - 1), rng.choice(["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]), expr(depth - 1))
        if kind < 6:
            return "(%s)|%s" % (expr(depth - 1), rng.choice([
                "length", "string", "trim", "upper", "lower", "title", "capitalize", "tojson", "list", "first", "last", "join(', ')", "sort", "unique|list", "int", "float", "abs", "round",
                "default('D')", "default('D', true)", "reverse|list", "map('string')|list", "select|list", "dictsort", "items|list", "sum", "min", "max", "batch(2)|list", "replace('l', 'r')",
                "tojson(indent=2)", "indent(2)", "wordcount", "truncate(4)", "e", "map(attribute='n')|list", "selectattr('v')|list|length", "sort(reverse=true)", "count", "center(7)"]))
        if kind < 7:
            return "(%s is %s)" % (expr(depth - 1), rng.choice(["defined", "none", "string", "mapping", "iterable", "sequence", "number", "odd", "not defined", "true", "integer", "eq 3", "in l"]))
        if kind < 8:
            return "(%s)[%s]" % (rng.choice(names), rng.choice(["0", "-1", "1:", ":-1", "::-1", "::2", "'k'", "'x'", "2:0:-1"]))
        if kind < 9:
            return "(%s).%s" % (expr(depth - 1), rng.choice(["upper()", "strip()", "split()", "split(',')", "items()|list", "get('k')", "replace('a', 'b')", "startswith('H')", "k", "count('a')", "title()", "splitlines()", "rsplit('l', 1)", "find('l')"]))
        if kind < 10:
            return "(%s if %s else %s)" % (expr(depth - 1), expr(depth - 1), expr(depth - 1))
        return "'%s' %% (%s)" % (rng.choice(["%s", "[%s]", "%d", "%.1f", "%r"]), expr(depth - 1))

    space = lambda: rng.choice(["", "", "-", "-", "+"])  # noqa: E731

    def tag(text):
        return "{%%%s %s %s%%}" % (space(), text, rng.choice(["", "", "-"]))

    def body(depth):
        return "".join(statement(depth) for _ in range(rng.randint(1, 3)))

    def statement(depth):
        gap = rng.choice(["", " ", "\n", "  \n", "text\n  ", "x"])
        kind = rng.randrange(8) if depth > 0 else 0
        if kind <= 2:
            return gap + "{{%s %s %s}}" % (rng.choice(["", "-"]), expr(rng.randint(0, 3)), rng.choice(["", "-"])) + gap
        if kind == 3:
            return gap + tag("if " + expr(1)) + body(depth - 1) + rng.choice(["", tag("else") + body(depth - 1)]) + tag("endif") + gap
        if kind == 4:
            name = rng.choice(["i", "a", "s"])
            return gap + tag("for %s in %s" % (name, rng.choice(["l", "ls", "d", "mix", "range(3)", "u", expr(1)]))) + body(depth - 1) + "{{ loop.index }}{{ %s }}" % name + tag("endfor") + gap
        if kind == 5:
            return gap + tag("set %s = %s" % (rng.choice(["i", "a", "s", "fresh"]), expr(2))) + gap
        if kind == 6:
            return gap + tag("macro m(x, y=2)") + body(depth - 1) + "{{ x }}{{ y }}" + tag("endmacro") + "{{ m(%s) }}" % expr(1)
        return gap + tag("set fresh") + body(depth - 1) + tag("endset") + "{{ fresh }}"

    return expected(f"random {number}", body(2), VALUES)


def write(name, rows):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as file:
        for row in rows:
            keep = {k: row[k] for k in ("name", "template", "data", "trusted", "text") if row[k] or k in ("text", "data")}
            file.write(json.dumps(keep, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{name}: {len(rows)} rows, {sum(r['text'] is None for r in rows)} raise")


def used(template):
    """Only the values that a template may name, so that the file stays small."""
    import re
    words = set(re.findall(r"[A-Za-z_0-9]+", template))
    return {k: v for k, v in VALUES.items() if k in words}


def main():
    seen = dict.fromkeys(constructs())
    rows = []
    for template in seen:
        row = expected("", template, used(template))
        if row["text"] is not None and " at 0x" in row["text"]:
            continue  # an address of the judge's process
        rows.append(row)
    write("constructs.jsonl", rows)
    folder = os.path.join(OUT, "families")
    rows = []
    for name in sorted(os.listdir(folder)):
        source = open(os.path.join(folder, name), encoding="utf-8").read()
        for title, data in CONVERSATIONS.items():
            rows.append(expected(f"{name} [{title}]", source, data, SPECIAL))
    write("families.jsonl", rows)
    rows = list(chats())
    with open(os.path.join(OUT, "chat.jsonl"), "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"chat.jsonl: {len(rows)} rows")


if __name__ == "__main__":
    main()
