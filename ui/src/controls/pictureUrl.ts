/** A picture's path is given below /api; one that was just chosen is a URL of its own. */
export function pictureUrl(picture: string): string {
  if (/^(data|blob):/.test(picture) || picture.startsWith('/api/')) return picture;
  return `/api/${picture.replace(/^\//, '')}`;
}
