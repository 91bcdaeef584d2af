"""Texts as HTML and Markdown have them: whole pages, fragments, front matter, badges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from support.planted.definitions import Document, Sizes, slug
from support.planted.made_up import HOSTS, PINYIN, SECTIONS, SITES, THEMES, day, digits, headline, url
from support.planted.page_parts import copyright_notice, fits_a_page, footer
from support.planted.real_documents import Supply
from support.planted.text_functions import put_in


def front_matter(rng: Random) -> list[str]:
    year, month, date = day(rng)
    title, tags = headline(rng), rng.sample(THEMES, 3)
    when = f"{year}-{month:02d}-{date:02d}"
    return rng.choice(
        (
            [
                "---",
                f"title: {title}",
                f"date: {when} 10:30:00",
                f"tags: [{', '.join(tags)}]",
                "categories: 笔记",
                "---",
            ],
            ["---", "layout: post", f'title: "{title}"', f"author: {rng.choice(PINYIN)}", "comments: true", "---"],
            [
                "---",
                f"title: {title}",
                f"summary: {tags[0]}的使用说明",
                f"aliases: ['/docs/{digits(rng, 4)}/','/zh/{digits(rng, 3)}/']",
                "---",
            ],
            [
                "+++",
                f'title = "{title}"',
                f"date = {when}T08:00:00+08:00",
                "draft = false",
                f'tags = ["{tags[0]}", "{tags[1]}"]',
                "+++",
            ],
            [
                "---",
                f"sidebar_position: {rng.randint(1, 30)}",
                f"slug: /{rng.choice(PINYIN)}-{digits(rng, 3)}",
                f"description: {title}",
                "---",
            ],
            [
                "---",
                f"title: {title}",
                "tags:",
                *(f"  - {tag}" for tag in tags),
                f"permalink: /pages/{digits(rng, 6)}/",
                "---",
            ],
        )
    )


def badges(rng: Random) -> list[str]:
    name = f"{rng.choice(PINYIN)}/{rng.choice(PINYIN)}-{rng.choice(('core', 'cli', 'ui', 'docs'))}"
    count = rng.randint(10, 99)
    return rng.choice(
        (
            [f"[![Build Status](https://travis-ci.org/{name}.svg?branch=master)](https://travis-ci.org/{name})"],
            [
                f"![license](https://img.shields.io/badge/license-MIT-blue.svg) ![coverage](https://img.shields.io/badge/coverage-{count}%25-green.svg)"
            ],
            [
                f"[![npm version](https://badge.fury.io/js/{name.split('/')[1]}.svg)](https://badge.fury.io/js/{name.split('/')[1]})"
            ],
            [
                f'<a href="https://github.com/{name}/stargazers"><img src="https://img.shields.io/github/stars/{name}"></a>'
            ],
            [f'<p align="center"><img src="https://raw.githubusercontent.com/{name}/logo.png" width="{count}0"></p>'],
            [
                f"[![GitHub release](https://img.shields.io/github/v/release/{name})](https://github.com/{name}/releases)",
                f"[![Gitter](https://badges.gitter.im/{name}.svg)](https://gitter.im/{name})",
            ],
            [
                f"<!-- ALL-CONTRIBUTORS-BADGE:START - Do not remove --> [![All Contributors](https://img.shields.io/badge/all_contributors-{count}-orange.svg)](#contributors)"
            ],
        )
    )


def escaped(rng: Random, line: str) -> str:
    """A line as HTML has it: some of its signs as entities, some of its words in inline tags."""
    line = line.replace("“", "&ldquo;").replace("”", "&rdquo;").replace("—", rng.choice(("&mdash;", "—", "&#8212;")))
    if len(line) > 20 and rng.random() < 0.5:
        start = rng.randint(0, len(line) - 12)
        stop = start + rng.randint(2, 8)
        if "&" not in line[max(0, start - 8) : stop + 8]:
            before, after = rng.choice(
                (
                    ("<strong>", "</strong>"),
                    (f'<a href="{url(rng)}" target="_blank">', "</a>"),
                    ('<span style="color: #333; font-size: 16px;">', "</span>"),
                    ("<b>", "</b>"),
                    ('<font face="宋体">', "</font>"),
                )
            )
            line = line[:start] + before + line[start:stop] + after + line[stop:]
    return line


def html_fragment(rng: Random, lines: list[str]) -> str:
    """A text as editors of forums and blogs leave it: paragraphs in tags, breaks, entities, pictures."""
    style = rng.choice(("p", "br", "div"))
    marked = []
    for line in lines:
        line = escaped(rng, line)
        if style == "p":
            marked.append(
                rng.choice(("<p>", '<p style="text-indent:2em;">', '<p class="MsoNormal">'))
                + "&nbsp;&nbsp;&nbsp;&nbsp;"
                + line
                + "</p>"
            )
        elif style == "div":
            marked.append(f'<div class="para" data-id="{digits(rng, 5)}">{line}</div>')
        else:
            marked.append(line + "<br/><br>")
        if rng.random() < 0.05:
            marked.append(
                f'<img src="https://{rng.choice(HOSTS)}/{digits(rng, 9)}.jpg" alt="" width="{rng.randint(300, 800)}"/>'
            )
    return "\n".join(marked)


def html_page(rng: Random, lines: list[str]) -> str:
    """A whole page: head, scripts, styles, menus, the text, a footer."""
    site, items = rng.choice(SITES), rng.sample(SECTIONS, 8)
    menu = "".join(f'<li><a href="/{rng.choice(PINYIN)}/">{item}</a></li>' for item in items)
    title = headline(rng)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="zh-CN"><head><meta charset="utf-8">',
            f"<title>{title}_{site}</title>",
            f'<meta name="keywords" content="{",".join(rng.sample(THEMES, 5))}">',
            f'<link rel="stylesheet" href="//{rng.choice(HOSTS)}/css/style.css?v={digits(rng, 4)}">',
            "<style>.article{margin:0 auto;width:1000px} @media(max-width:600px){.nav{display:none}}</style>",
            "<script>var _hmt = _hmt || []; (function() { var hm = document.createElement('script');",
            f"hm.src = '//hm.baidu.com/hm.js?{digits(rng, 8)}'; }})();</script>",
            '</head><body class="page">',
            f'<div id="header"><ul class="nav">{menu}</ul></div>',
            "<!-- 正文开始 -->",
            f'<div class="article" id="content">\n{html_fragment(rng, lines)}\n</div>',
            "<!-- 正文结束 -->",
            f'<script type="text/javascript">/*728*90*/ var cpro_id = "u{digits(rng, 7)}";</script>',
            f'<div class="footer">{footer(rng)[0]}<br>{copyright_notice(rng)[0]}</div>',
            "</body></html>",
        ]
    )


HTML_REMAINS = (
    "<p",
    "</",
    "<br",
    "<div",
    "<span",
    "<img",
    "<a ",
    "<script",
    "<style",
    "<!--",
    "<font",
    "<strong",
    "<meta",
    "&nbsp;",
    "&ldquo;",
    "&#8212;",
    "_hmt",
    "cpro_id",
    "createElement",
    "@media",
)


def planted_html(rng: Random, supply: Supply, sizes: Sizes) -> Iterator[Document]:
    """Documents as HTML: whole pages and fragments in turn."""
    for i, body in enumerate(supply.take(sizes.pages, fits_a_page)):
        whole = i % 2 == 0
        kind = "html: page" if whole else "html: fragment"
        make = html_page if whole else html_fragment
        text = make(rng, [line for line in body.split("\n") if line.strip()])
        gone = tuple((kind, mark) for mark in HTML_REMAINS if mark in text)
        yield Document(f"{slug(kind)}-{i:05d}", kind, text, body=body, gone=gone)


def planted_markdown(rng: Random, supply: Supply, sizes: Sizes) -> Iterator[Document]:
    """Documents with front matter and badges."""

    def fits(text: str) -> bool:
        return fits_a_page(text) and not re.search(r"^(---|\+\+\+)|!\[", text)

    for i, body in enumerate(supply.take(sizes.pages, fits)):
        front, head, middle = front_matter(rng), badges(rng), badges(rng)
        gone = tuple(
            (f"markdown: {kind}", line)
            for kind, lines in (("front matter", front), ("badges", [*head, *middle]))
            for line in lines
        )
        text = "\n".join([*front, "", *head, "", put_in(rng, body, middle)])
        yield Document(f"markdown-{i:05d}", "markdown", text, body=body, gone=gone)
