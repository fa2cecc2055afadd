// What the browser keeps for the page. Within a page of another site, or where somebody has told it so, it keeps nothing,
// and to touch what it would keep it in is an error.

/** @typedef {'localStorage' | 'sessionStorage'} Where for good, or as long as the tab is open */

/** What was kept by a name, null if nothing was. @param {Where} where @param {string} name */
export function kept(where, name) {
  try {
    return window[where].getItem(name);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return null;
  }
}

/** Keep a text by a name, or nothing: whether there was a place and room. @param {Where} where @param {string} name @param {string | null} text */
export function keep(where, name, text) {
  try {
    if (text === null) window[where].removeItem(name);
    else window[where].setItem(name, text);
    return true;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return false;
  }
}
