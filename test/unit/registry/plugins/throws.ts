throw new Error('no licence for Tuesdays');
