"""Tests of the license in a model card."""

import pytest

from official_ext.pretrained import model_card


@pytest.mark.parametrize('text, expected', [
    ('---\nlicense: apache-2.0\n---\n# A model\n', 'apache-2.0'),
    ('---\nlicense:\n- apache-2.0\n- cc-by-nc-4.0\ntags: [a]\n---\n',
     'apache-2.0, cc-by-nc-4.0'),
    ('---\ntags:\n- vision\nlicense: ["mit", \'gpl-3.0\']\n---\n',
     'mit, gpl-3.0'),
    ('---\nlicense: "mit"  # as of 2024\n---\n', 'mit'),
    ('\ufeff---\r\nlicense: mit\r\n---\r\n', 'mit'),
    ('---\nlicense: >\n  our own\n  license\n---\n', 'our own license'),
    # As the hub has it of a license that is not in its list.
    ('---\nlicense: other\nlicense_name: dinov3-license\n---\n',
     'dinov3-license'),
    ('---\nlicense: other\n---\n', 'other'),
    ('---\nlicense: no\n---\n', 'no'),
    # Not the card's own: the text may quote another one.
    ('---\ntags: [a]\n---\n\n```\nlicense: mit\n```\n', ''),
    ('# A model\n\nlicense: mit\n', ''),
    ('---\nlicense:\n---\n', ''),
    ('---\nlicense: []\n---\n', ''),
    ('---\n- license\n---\n', ''),
    ('---\n---\n', ''),
    ('', ''),
])
def test_a_card(tmp_path, text, expected):
  (tmp_path / 'README.md').write_text(text, encoding='utf-8', newline='')
  assert model_card.read_license(str(tmp_path)) == expected


def test_no_card_and_one_that_is_no_yaml(tmp_path, monkeypatch):
  warned = []
  monkeypatch.setattr(model_card.logging, 'warning', lambda text, *rest: (
      warned.append(text % rest)))
  assert not model_card.read_license(str(tmp_path))
  assert not warned
  (tmp_path / 'README.md').write_text('---\nlicense: [mit\n---\n')
  assert not model_card.read_license(str(tmp_path))
  assert len(warned) == 1
  assert str(tmp_path / 'README.md') in warned[0]
  assert '\n' not in warned[0]


@pytest.mark.parametrize('name', [
    'apache-2.0', 'apache-2.0, mit', 'no', 'a "quoted" one: 7', 'Lizenz für'])
def test_a_card_that_was_written_is_read_again(tmp_path, name):
  (tmp_path / 'README.md').write_text(model_card.text(name), encoding='utf-8')
  assert model_card.read_license(str(tmp_path)) == name
