"""Where faces are on a photo, by YuNet. Score looks for faces with it; `components.photo` for the eyes of a face it is given."""
