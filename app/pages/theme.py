"""Ink on paper, system fonts: nothing is fetched from anywhere."""

from __future__ import annotations

from gradio.themes import Base

COLOURS = {
    "body_background_fill": "bg",
    "background_fill_primary": "surface",
    "background_fill_secondary": "sunken",
    "body_text_color": "ink",
    "body_text_color_subdued": "ink-3",
    "border_color_primary": "line",
    "border_color_accent": "accent",
    "color_accent": "accent",
    "color_accent_soft": "soft",
    "block_label_text_color": "ink-2",
    "block_title_text_color": "ink-2",
    "block_info_text_color": "ink-3",
    "input_background_fill": "surface",
    "input_background_fill_focus": "surface",
    "input_border_color": "control",
    "input_border_color_focus": "accent",
    "input_placeholder_color": "ink-3",
    "slider_color": "accent",
    "button_primary_background_fill": "accent",
    "button_primary_background_fill_hover": "accent",
    "button_primary_border_color_hover": "accent",
    "button_primary_text_color": "on-accent",
    "button_secondary_background_fill": "surface",
    "button_secondary_background_fill_hover": "sunken",
    "button_secondary_text_color": "ink",
    "button_secondary_border_color": "line-2",
    "checkbox_background_color_selected": "accent",
    "checkbox_border_color_selected": "accent",
    "checkbox_label_background_fill_selected": "surface",
    "checkbox_label_text_color": "ink-2",
    "checkbox_label_text_color_selected": "ink",
    "link_text_color": "accent",
    "link_text_color_hover": "accent",
    "link_text_color_active": "accent",
    "link_text_color_visited": "accent",
}
"""Gradio's names for colours, and ours in web/css, which know light and dark by themselves."""

CLEAR = (
    "block_background_fill",
    "block_label_background_fill",
    "panel_background_fill",
    "button_primary_border_color",
    "checkbox_label_background_fill",
    "checkbox_label_background_fill_hover",
)
"""What has no colour of its own."""

SHAPES = {
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_padding": "0px",
    "block_label_border_width": "0px",
    "block_title_text_size": "13px",
    "block_title_text_weight": "500",
    "input_border_width": "1px",
    "input_radius": "6px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "button_large_radius": "8px",
    "button_medium_radius": "8px",
    "button_small_radius": "6px",
    "layout_gap": "16px",
    "form_gap_width": "0px",
}

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial"]


def theme() -> Base:
    """The page's look, the same names for light and dark."""
    colours = {key: f"var(--n-{name})" for key, name in COLOURS.items()}
    colours |= dict.fromkeys(CLEAR, "transparent")
    known = set(Base.set.__code__.co_varnames)
    both = {name: value for key, value in colours.items() for name in (key, f"{key}_dark")}
    base = Base(font=[*FONTS, "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return base.set(**{k: v for k, v in {**both, **SHAPES}.items() if k in known})
